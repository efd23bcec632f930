"""Downloads from a server on this machine that does everything wrong that servers do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import pickle
import re
import resource
import shutil
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tables as hdf5
import yaml
from bad_files import RAN, Runs
from bad_server import (
    DATA,
    NAME,
    Handler,
    another_range,
    changed,
    compressed,
    corrupts,
    drops,
    drops_at_once,
    good,
    ignores_ranges,
    ignores_ranges_and_drops,
    no_content_range,
    no_http,
    no_length,
    no_length_and_drops,
    no_length_and_more,
    promises_more_than_it_sends,
    says_longer,
    says_nothing,
    says_shorter,
    stalls,
    stalls_at_once,
    status,
    trickles,
    unsatisfiable,
    web_page,
)
from scripts_by_name import script

from flowmorph.collider import download, receiving
from flowmorph.collider.download import fetch
from flowmorph.collider.receiving import Patience
from flowmorph.collider.remote import Remote, published
from flowmorph.errors import InputError, cli

SHA256, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
QUICK = Patience(attempts=4, backoff=0.01, stall=0.3, longest_wait=2.0, stall_bytes=50_000)
ROOT = Path(__file__).parents[1]


@pytest.fixture
def serve(monkeypatch):
    """Start servers; each gets a list of behaviours and has an address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(*behaviours):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.behaviours, server.ranges, server.release = behaviours, [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.release.set()
        server.shutdown()
        server.server_close()


def remote(*servers, known=True, **facts):
    facts = {"bytes": len(DATA), "sha256": SHA256} | facts if known else facts
    return Remote(NAME, tuple(server.url for server in servers), "https://example.org/7", **facts)


def get(wanted, folder, **more):
    return fetch(wanted, folder, patience=QUICK, local_http=True, **more)


def refused(wanted, folder, **more):
    """The one line with which a download fails; nothing may then have the final name."""
    with pytest.raises(InputError) as caught:
        get(wanted, folder, **more)
    assert "\n" not in str(caught.value) and NAME in str(caught.value)
    assert not (folder / NAME).exists()
    return str(caught.value)


RIGHT_IN_THE_END = {
    "good": [good],
    "drops": [drops, good],
    "drops again and again": [drops, drops, drops, good],
    "drops at once": [drops_at_once, good],
    "says nothing": [says_nothing, good],
    "is no HTTP": [no_http, good],
    "stalls": [stalls, good],
    "trickles": [trickles, good],
    "corrupts once": [corrupts, good],
    "corrupts the rest": [drops, corrupts, good],
    "ignores ranges": [drops, ignores_ranges],
    "ignores ranges and drops": [ignores_ranges_and_drops, ignores_ranges_and_drops, good],
    "sends another range": [drops, another_range, good],
    "forgets the range": [drops, no_content_range, good],
    "knows no such range": [drops, unsatisfiable, good],
    "promises more than it sends": [promises_more_than_it_sends, good],
    "tells no length": [no_length],
    "tells no length and drops": [no_length_and_drops, good],
    "500": [status(500), good],
    "503": [status(503), status(503), good],
    "429 with a wait": [status(429, Retry_After=1), good],
    "429 with a date": [status(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), good],
    "stalls again and again": [stalls],
    "everything": [drops, status(503), stalls, ignores_ranges],
    "would compress": [compressed],
}


@pytest.mark.parametrize("behaviours", RIGHT_IN_THE_END.values(), ids=RIGHT_IN_THE_END)
def test_ends_right(tmp_path, serve, behaviours):
    found = get(remote(serve(*behaviours)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert (found.bytes, found.sha256) == (len(DATA), SHA256)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


IN_ONE_LINE = {
    "drops at once": (drops_at_once, "the connection ended after 0 of 300,000 bytes"),
    "says nothing": (says_nothing, "without response"),
    "stalls": (stalls_at_once, "timed out"),
    "trickles": (trickles, r"\d bytes in 0 s"),
    "corrupts": (corrupts, f"SHA-256 .*, {SHA256} expected"),
    "a shorter file": (says_shorter, "a file of 1,000 bytes, not 300,000"),
    "a longer file": (says_longer, "a file of 300,005 bytes, not 300,000"),
    "more than the file": (no_length_and_more, "sends more than the 300,000 bytes"),
    "a web page": (web_page, "a file of 41 bytes, not 300,000"),
    "400": (status(400), "status 400 Bad Request"),
    "401": (status(401), "status 401"),
    "403": (status(403), "status 403 Forbidden"),
    "404": (status(404), "status 404 Not Found"),
    "410": (status(410), "status 410"),
    "429": (status(429), "status 429 Too Many Requests"),
    "429 for an hour": (status(429, Retry_After=3600), "status 429 .*again in 3600 s"),
    "500": (status(500), "status 500"),
    "503": (status(503), "status 503 Service Unavailable"),
    "no content": (status(204), "status 204"),
    "to plain HTTP": (status(302, Location="http://example.org/x"), "not HTTPS"),
    "to a file": (status(302, Location="file:///etc/passwd"), "not HTTPS"),
    "round and round": (status(302, Location=f"/{NAME}"), "redirects"),
}


@pytest.mark.parametrize(("behaviour", "reason"), IN_ONE_LINE.values(), ids=IN_ONE_LINE)
def test_ends_in_one_line(tmp_path, serve, behaviour, reason):
    server = serve(behaviour)
    message = refused(remote(server), tmp_path)
    assert re.search(reason, message), message
    assert server.url in message
    assert f"get {NAME} from https://example.org/7 and put it into {tmp_path}" in message


@pytest.mark.parametrize("code", [400, 403, 404, 451])
def test_what_is_refused_for_good_is_asked_for_once(tmp_path, serve, code):
    server = serve(status(code))
    refused(remote(server), tmp_path)
    assert len(server.ranges) == 1


def test_what_may_pass_is_asked_for_several_times_ever_more_slowly(tmp_path, serve, monkeypatch):
    waits = []
    monkeypatch.setattr(receiving.time, "sleep", waits.append)
    server = serve(status(503))
    refused(remote(server), tmp_path)
    assert len(server.ranges) == QUICK.attempts
    assert waits == [0.01, 0.02, 0.04]


def test_progress_gives_new_patience(tmp_path, serve):
    """A server that drops every 40,000 bytes is put up with when these count as progress."""

    def crumbs(handler):
        handler.wfile.write(handler.start()[:40_000])

    server = serve(crumbs)
    refused(remote(server), tmp_path)
    (tmp_path / f".{NAME}.part").unlink()
    eager = Patience(attempts=2, backoff=0.01, stall=1.0, progress_bytes=40_000)
    fetch(remote(server), tmp_path, patience=eager, local_http=True)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_mirrors_are_tried_in_order_and_go_on_with_what_is_there(tmp_path, serve):
    servers = [serve(status(403)), serve(drops, status(404)), serve(good), serve(good)]
    get(remote(*servers), tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert [server.ranges for server in servers] == [
        [None],
        [None, "bytes=100000-"],
        ["bytes=100000-"],
        [],
    ]


def test_a_web_page_in_place_of_the_rest_costs_nothing(tmp_path, serve):
    servers = [serve(drops, web_page), serve(good)]
    get(remote(*servers), tmp_path)
    assert servers[1].ranges == ["bytes=100000-"]


def test_all_mirrors_and_their_faults_are_named(tmp_path, serve):
    servers = [serve(status(403)), serve(corrupts)]
    message = refused(remote(*servers), tmp_path)
    assert f"{servers[0].url}: status 403" in message and f"{servers[1].url}: SHA" in message


def test_a_later_run_goes_on_where_the_first_ended(tmp_path, serve):
    refused(remote(serve(drops, status(403))), tmp_path)
    assert (tmp_path / f".{NAME}.part").read_bytes() == DATA[:100_000]
    server = serve(good)
    get(remote(server), tmp_path)
    assert server.ranges == ["bytes=100000-"]
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * len(DATA), DATA + b"more"])
def test_a_part_that_is_wrong_costs_a_second_download(tmp_path, serve, part):
    (tmp_path / f".{NAME}.part").write_bytes(part)
    get(remote(serve(unsatisfiable if len(part) > len(DATA) else good, good)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_complete_part_needs_no_server(tmp_path):
    (tmp_path / f".{NAME}.part").write_bytes(DATA)
    wanted = Remote(NAME, ("https://127.0.0.1:9/",), "", bytes=len(DATA), sha256=SHA256)
    get(wanted, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_md5_holds_where_nothing_else_is_known(tmp_path, serve):
    wanted = Remote(NAME, (serve(corrupts).url,), "https://example.org/7", md5=MD5)
    assert f"{MD5} expected" in refused(wanted, tmp_path)
    wanted = Remote(NAME, (serve(good).url,), "", md5=MD5)
    assert get(wanted, tmp_path).sha256 == SHA256


def test_a_file_without_checksum_is_held_to_the_one_seen(tmp_path, serve):
    get(remote(serve(drops, good), known=False), tmp_path)
    record = tmp_path / f"{NAME}.sha256"
    assert record.read_text() == f"{SHA256}  {NAME}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, record.name]

    (tmp_path / NAME).unlink()
    message = refused(remote(serve(changed), known=False), tmp_path)
    assert f"{SHA256} expected (by {record}: remove that if" in message

    get(remote(serve(good), known=False), tmp_path)
    (tmp_path / NAME).write_bytes(DATA[::-1])
    with pytest.raises(InputError, match="SHA-256 .* expected .by .*; move it away"):
        get(remote(known=False), tmp_path)

    record.write_text("nonsense")
    with pytest.raises(InputError, match=r"events.h5.sha256: no SHA-256 in it"):
        get(remote(known=False), tmp_path)


def test_pieces_of_two_versions_are_never_put_together(tmp_path, serve):
    """Without a checksum only the server's version tells them apart, in one run or in two."""
    get(remote(serve(drops, changed), known=False), tmp_path / "one")
    assert (tmp_path / "one" / NAME).read_bytes() == DATA[::-1]

    refused(remote(serve(drops, status(403)), known=False), tmp_path / "two")
    get(remote(serve(changed), known=False), tmp_path / "two")
    assert (tmp_path / "two" / NAME).read_bytes() == DATA[::-1]

    refused(remote(serve(drops, status(403)), known=False), tmp_path / "three")
    server = serve(good)
    get(remote(server, known=False), tmp_path / "three")
    assert server.ranges == ["bytes=100000-"]
    assert (tmp_path / "three" / NAME).read_bytes() == DATA


def test_without_length_and_size_nothing_is_believed(tmp_path, serve):
    message = refused(remote(serve(no_length), known=False), tmp_path)
    assert "does not tell the file's size" in message


def test_a_complete_file_that_fails_the_check_gets_no_name(tmp_path, serve):
    def check(path):
        raise InputError(f"{path}: no HDF5")

    assert "no HDF5" in refused(remote(serve(good), known=False), tmp_path, check=check)


def test_a_file_that_is_there_is_verified_and_not_downloaded(tmp_path, serve):
    server = serve(good)
    (tmp_path / NAME).write_bytes(DATA)
    assert get(remote(server), tmp_path).sha256 == SHA256
    for wrong, reason in ((DATA[:-1], "299,999 bytes, 300,000 expected"), (DATA[::-1], "SHA-256")):
        (tmp_path / NAME).write_bytes(wrong)
        with pytest.raises(InputError, match=f"events.h5: {reason}.*move it away"):
            get(remote(server), tmp_path)
        assert (tmp_path / NAME).read_bytes() == wrong
    assert server.ranges == []


def test_two_at_once(tmp_path, serve):
    server = serve(stalls, good)
    patient = Patience(attempts=4, backoff=0.01, stall=10)
    failures = []

    def first():
        try:
            fetch(remote(server), tmp_path, patience=patient, local_http=True)
        except InputError as error:
            failures.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    while not (tmp_path / f".{NAME}.part").exists() or not server.ranges:
        time.sleep(0.01)
    assert "another process is downloading it" in refused(remote(server), tmp_path)
    server.release.set()
    thread.join()
    assert not failures and (tmp_path / NAME).read_bytes() == DATA
    assert len(server.ranges) == 2


def test_a_folder_without_locks_is_named(tmp_path, serve, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    said = refused(remote(serve()), tmp_path)
    assert "cannot lock files: Function not implemented: choose another folder" in said


def test_a_lock_dies_with_its_process(tmp_path, serve):
    with open(tmp_path / f".{NAME}.part", "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        refused(remote(serve(good)), tmp_path)
    get(remote(serve(good)), tmp_path)


def test_a_part_that_became_the_file_is_not_written_to(tmp_path, serve, monkeypatch):
    """The first process may finish between the second one's opening and locking of the part."""
    (tmp_path / f".{NAME}.part").write_bytes(DATA)
    lock = fcntl.flock

    def slow(stream, kind):
        (tmp_path / f".{NAME}.part").rename(tmp_path / NAME)
        lock(stream, kind)

    monkeypatch.setattr(download.fcntl, "flock", slow)
    with pytest.raises(InputError, match="another process"):
        get(remote(serve(good)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_space_is_checked_before_anything_is_written(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 299_999))
    with pytest.raises(InputError) as caught:
        get(remote(serve(good)), tmp_path)
    message = str(caught.value)
    assert "0.00 GB free, 0.00 GB needed" in message and "collider.download.folder" in message
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_costs_no_retry(tmp_path, serve):
    server = serve(good)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        assert "part cannot be written: File too large" in refused(remote(server), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(server.ranges) == 1
    get(remote(serve(good)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_no_network_is_said(tmp_path):
    wanted = Remote(NAME, ("https://no-such-server.invalid/x",), "https://example.org/7")
    message = refused(wanted, tmp_path)
    assert "https://no-such-server.invalid/x: " in message and "object at" not in message
    assert "get events.h5 from https://example.org/7" in message
    message = refused(Remote(NAME, ("https://127.0.0.1:9/x",), "https://example.org/7"), tmp_path)
    assert "Connection refused" in message


def test_plain_http_is_for_tests_only(tmp_path, serve):
    server = serve(good)
    with pytest.raises(InputError, match="not HTTPS"):
        fetch(remote(server), tmp_path, patience=QUICK)
    elsewhere = Remote(NAME, ("http://example.org/x",), "https://example.org/7")
    assert "not HTTPS" in refused(elsewhere, tmp_path)
    assert server.ranges == []


def test_progress_has_rate_and_time_left(tmp_path, serve, capfd):
    often = Patience(report=0.0)
    fetch(remote(serve(good)), tmp_path, patience=often, local_http=True)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert re.search(
        r"events.h5.part +\d+%\|.*/300k \[\d\d:\d\d<\d\d:\d\d, +[\d.]+[kMG]?B/s\]", lines[0]
    )


def test_published_files_are_those_of_the_reference():
    files = published(ROOT / "config/lhco_reference.yaml", ["https://mirror.org/{name}"])
    assert len(files) == 6
    name = "events_anomalydetection_v2.h5"
    assert files[name].urls == (
        f"https://zenodo.org/records/6466204/files/{name}?download=1",
        f"https://mirror.org/{name}",
    )
    assert files[name].page == "https://zenodo.org/records/6466204"
    assert files[name].bytes == 2908260409 and files[name].sha256.startswith("5da8fda2")
    assert files["events_LHCO2020_BlackBox2.h5"].bytes is None
    facts = yaml.safe_load((ROOT / "config/lhco_reference.yaml").read_text())
    assert {name for kind in facts["samples"].values() for name in kind.values()} <= set(files)


def run(*arguments):
    argv, sys.argv = sys.argv, ["download_lhco.py", *map(str, arguments)]
    try:
        cli(script("download_lhco").main)
    except SystemExit as stop:
        return stop.code
    finally:
        sys.argv = argv
    return 0


@pytest.fixture
def facts(tmp_path):
    """Published facts of one file whose server does not exist."""
    record = {"record": 1, "url": "https://127.0.0.1:9/{name}", "files": {NAME: {}}}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump({"target": record, "counts": {"all": {}}}))
    common = ("--facts", tmp_path / "facts.yaml", "--folder", tmp_path, "--mirrors")
    return (*common, "--output", tmp_path / "verified.json")


def test_script_takes_a_file_put_there_by_hand(tmp_path, facts, lhco_tiny, capfd):
    shutil.copy(lhco_tiny, tmp_path / NAME)
    assert run("--name", NAME, *facts) == 0
    digest = hashlib.sha256(lhco_tiny.read_bytes()).hexdigest()
    found = yaml.safe_load((tmp_path / "verified.json").read_text())
    assert found == {"name": NAME, "bytes": lhco_tiny.stat().st_size, "sha256": digest}


def test_script_says_what_is_wrong(tmp_path, facts, lhco_tiny, capfd):
    def line():
        (text,) = capfd.readouterr().err.splitlines()
        assert text.startswith("error: ") and not (tmp_path / "verified.json").exists()
        return text

    assert run("--name", "other.h5", *facts) == 1
    assert "other.h5 is none of the files" in line()
    for broken in (lhco_tiny.read_bytes()[:-1000], b"<html>no file</html>", b""):
        (tmp_path / NAME).write_bytes(broken)
        assert run("--name", NAME, *facts) == 1
        assert "no readable HDF5 file" in line()


def test_script_runs_nothing_that_a_file_holds(tmp_path, facts, capfd):
    with hdf5.open_file(tmp_path / NAME, "w") as file:
        file.root._v_attrs.TITLE = np.bytes_(pickle.dumps(Runs(), 0))
        file.create_array("/", "df", obj=np.arange(9.0))
    run("--name", NAME, *facts)
    assert RAN not in capfd.readouterr().out
