"""A name never stands for half a file, and nothing is left beside it."""

import os
import platform
import subprocess
import sys

import pytest

from flowmorph.files import atomic


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("whole")
    with pytest.raises(ValueError), atomic(path) as part:
        part.write_text("ha")
        raise ValueError
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_deleted_and_what_others_write_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = platform.node()
    left = tmp_path / f".a.{here}.{ended.pid}.part.csv"
    running = tmp_path / f".a.{here}.{os.getppid()}.part.csv"
    elsewhere = tmp_path / f".a.another-{here}.{ended.pid}.part.csv"
    of_another_file = tmp_path / f".b.{here}.{ended.pid}.part.csv"
    for each in (left, running, elsewhere, of_another_file):
        each.touch()
    with atomic(tmp_path / "a.csv") as part:
        part.write_text("whole")
    assert set(tmp_path.iterdir()) == {tmp_path / "a.csv", running, elsewhere, of_another_file}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"), atomic(path) as part:
        part.symlink_to("/dev/full")
        with open(part, "w") as file:
            file.write("x")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_name_is_not_what_an_error_names(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match=f"Is a directory: '{path}'"), atomic(path) as part:
        part.mkdir()
        try:
            part.write_text("x")
        finally:
            part.rmdir()
