"""Wall time, processor time and peak memory of a command and all its children.

    python benchmarks/budget.py make quick CORES=2

Memory is the sum of the proportional set sizes (shared pages count once) of every process of the
command's tree, sampled every few seconds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time

import psutil

# The kernel walks every page to tell a proportional size: each second would cost a tenth of a core.
SECONDS = 5.0


def tree_memory(pid: int) -> int:
    """Bytes that the processes below ``pid``, and itself, hold together."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} command ...")
    start = time.monotonic()
    command = subprocess.Popen(sys.argv[1:])
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SECONDS):
            peak = max(peak, tree_memory(command.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = command.wait()
    done.set()
    watcher.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"wall {(time.monotonic() - start) / 60:.1f} min, "
        f"processors {(used.ru_utime + used.ru_stime) / 60:.1f} min, "
        f"peak memory {peak / 1e9:.2f} GB, exit {status}"
    )
    sys.exit(status)


if __name__ == "__main__":
    main()
