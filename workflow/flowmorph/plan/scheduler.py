"""Keeps Snakemake from looking at the jobs that are ready many times a second."""

from __future__ import annotations

import time
from typing import Any


def look_once(scheduler: Any) -> None:
    """Let Snakemake's scheduler wait for one timer at a time.

    At each look at the jobs that are ready Snakemake 9.27 starts a timer that makes it look again a
    second later, beside the timers that still run: each job that ends adds one look a second, until
    it looks all the time.
    """
    start_timer = getattr(scheduler, "_schedule_reevalutation", None)
    due = 0.0

    def start_first(delay: float) -> None:
        nonlocal due
        now = time.monotonic()
        # The timer that waits is enough, unless it is to wait longer, or a clock was set back.
        if not now < due <= now + delay:
            due = now + delay
            start_timer(delay)

    # Another version may have mended this, under whatever name.
    if start_timer is not None:
        scheduler._schedule_reevalutation = start_first
