"""A disk that is full, a trace that is none, a clock set back: told once, survived.

The disk is a tmpfs of its own, so this needs the right to mount one. The clock is libfaketime's
(package libfaketime), which moves the wall clock alone.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.rig import ECHO, Daemon
from tests.daemon.test_resume import A, connect, disconnect, talk

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
DAY_S = 86_400


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a state folder on a disk of 4 MiB."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "voiced-test", str(state)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here: that takes root")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def fill(state: Path) -> Path:
    """Leave not a byte."""
    rubbish = state / "rubbish"
    with rubbish.open("wb", buffering=0) as out:
        for size in (1 << 16, 4096, 1):
            try:
                while out.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return rubbish


@pytest.mark.timeout(120)
def test_a_full_disk_is_said_once_and_the_talk_goes_on(tmp_path: Path, disk: Path) -> None:
    with Daemon(tmp_path) as daemon:
        since = connect(daemon)
        talk(daemon, "before")
        rubbish = fill(disk)
        for n in range(5):
            talk(daemon, f"meanwhile {n}")
        daemon.wait(f"{A}/cb/onError", "trace", since=since)
        rubbish.unlink()
        talk(daemon, "after")
        trace = disconnect(daemon)
        errors = [e.args for e in daemon.client.all(f"{A}/cb/onError", since=since)]
        print(errors)
        assert len([e for e in errors if e[0] == "trace"]) == 1
        daemon.until(Path(trace).exists, 10.0, "the trace")
        said = [row["message"] for row in json.loads(Path(trace).read_bytes())["transcript"]]
        print(said)
        assert {"before", "after"} <= set(said)
        connect(daemon)
        talk(daemon, "the next visitor")
        disconnect(daemon)


@pytest.mark.timeout(120)
def test_what_is_no_trace_is_said_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "voice_sessions" / "voice_agent"
    folder.mkdir(parents=True)
    name = "20261123_010203_echo_default_0123abcd"
    (folder / f"{name}.json").write_bytes(b'{"transcript": [')
    (folder / f"{name[:-1]}e.journal.jsonl").write_bytes(b"\x00\xffnonsense\n{")
    with Daemon(tmp_path) as daemon:
        daemon.send(f"{A}/par/Resumelast", 1)
        since = connect(daemon)
        talk(daemon, "good evening")
        disconnect(daemon)
        connect(daemon)
        errors = [e.args for e in daemon.client.all(f"{A}/cb/onError", since=since)]
        print(errors)
        assert len(errors) == 1
        assert name in errors[0][2]
        disconnect(daemon)
        assert (folder / f"{name}.json").read_bytes() == b'{"transcript": ['
        daemon.ask(f"{A}/par/Sessionresume", wanted=lambda text: "Replayed 2" in text)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.timeout(120)
def test_a_clock_that_is_set_back_a_day(tmp_path: Path) -> None:
    offset = tmp_path / "clock"
    offset.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
    }  # fmt: skip
    with Daemon(tmp_path, ECHO, environment=environment) as daemon:
        since = connect(daemon)
        talk(daemon, "today")
        offset.write_text(f"-{DAY_S}")
        before = time.time()
        talk(daemon, "yesterday")
        row = daemon.wait(f"{A}/conv/row", lambda *r: r[2] == "yesterday", since=since).args
        print(row)
        trace = disconnect(daemon)
        daemon.until(Path(trace).exists, 10.0, "the trace")
        found = json.loads(Path(trace).read_bytes())
        assert [r["message"] for r in found["transcript"] if r["role"] == "user"] == [
            "today", "yesterday",
        ]  # fmt: skip
        daemon.send(f"{A}/par/Resumelast", 1)
        since = connect(daemon)
        daemon.wait(f"{A}/par/Sessionresume", lambda text: "Replayed 4" in text, since=since)
        disconnect(daemon)
        assert time.time() - before < 60
        assert daemon.client.all(f"{A}/cb/onError") == []
