"""A disk that is full or read-only, a trace that is none, a clock set back: told once, survived.

The disk is a tmpfs or an image of its own, so this needs the right to mount one. The clock is
libfaketime's (package libfaketime), which moves the wall clock alone.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.rig import CONFIG, ECHO, Daemon
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
        meanwhile = [f"meanwhile {n}" for n in range(5)]
        assert said(Path(trace)) == ["before", *meanwhile, "after"]
        connect(daemon)
        talk(daemon, "the next visitor")
        disconnect(daemon)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing new be opened for writing; what is open already, stays so."""
    run("mount", "--bind", str(folder), str(folder))
    try:
        run("mount", "-o", "remount,bind,ro", str(folder))
        yield
    finally:
        run("umount", "-l", str(folder))


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def end(daemon: Daemon) -> Path:
    """End the session; return where its trace is, or will be."""
    since = daemon.mark()
    daemon.send(f"{A}/par/Disconnect")
    daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=since)
    return Path(str(daemon.wait(f"{A}/cb/onSessionEnd", since=since).args[2]))


def said(trace: Path) -> list[str]:
    """Return what the visitor said."""
    rows = json.loads(trace.read_bytes())["transcript"]
    return [row["message"] for row in rows if row["role"] == "user"]


def told(daemon: Daemon) -> list[str]:
    """Return what was told of the disk."""
    errors = daemon.client.all(f"{A}/cb/onError")
    assert {error.args[0] for error in errors} <= {"trace"}
    return [str(error.args[2]) for error in errors]


@pytest.mark.timeout(120)
def test_a_read_only_disk_is_said_once_and_everything_is_written_later(
    tmp_path: Path, disk: Path
) -> None:
    with Daemon(tmp_path) as daemon:
        connect(daemon)
        talk(daemon, "before")
        with read_only(disk):
            talk(daemon, "meanwhile")
            daemon.send(f"{A}/par/Volume", 0.5)
            first = end(daemon)
            assert not first.exists()
            connect(daemon)
            talk(daemon, "the next visitor")
        talk(daemon, "after")
        second = end(daemon)
        daemon.until(lambda: first.exists() and second.exists(), 30.0, "both traces")
        assert (said(first), said(second)) == (
            ["before", "meanwhile"], ["the next visitor", "after"],
        )  # fmt: skip
        assert list(first.parent.glob("*.jsonl")) == []
        (sentence,) = told(daemon)
        print(sentence)
        assert "Read-only" in sentence
        assert "mount it writable again" in sentence
        state = disk / "state.json"
        daemon.until(lambda: state.exists() and "0.5" in state.read_text(), 30.0, "the kept value")


@pytest.mark.timeout(120)
def test_a_disk_with_errors_is_repaired_under_a_session(tmp_path: Path) -> None:
    """The system itself makes it read-only, for what is open too; it is taken away and repaired."""
    image, folder = tmp_path / "image", tmp_path / "state" / "disk"
    folder.mkdir(parents=True, mode=0o700)
    with image.open("wb") as file:
        file.truncate(16 << 20)
    try:
        run("mkfs.ext4", "-q", str(image))
        run("mount", "-o", "loop", str(image), str(folder))
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no image of a disk can be made and mounted here, that takes root: {error}")
    try:
        with Daemon(tmp_path) as daemon:
            daemon.send(f"{A}/par/Sessiontracedir", str(folder))
            daemon.ask(f"{A}/par/Sessiontracedir", wanted=str(folder))
            connect(daemon)
            talk(daemon, "before")
            run("mount", "-o", "remount,abort", str(folder))
            talk(daemon, "meanwhile")
            daemon.wait(f"{A}/cb/onError", "trace")
            run("umount", "-l", str(folder))
            talk(daemon, "while it is away")
            daemon.until(lambda: not used(image), 30.0, "the end of what was open on it")
            subprocess.run(["e2fsck", "-p", str(image)], check=False, capture_output=True)
            run("mount", "-o", "loop", str(image), str(folder))
            talk(daemon, "after")
            trace = end(daemon)
            daemon.until(trace.exists, 30.0, "the trace")
            assert said(trace) == ["before", "meanwhile", "while it is away", "after"]
            # What was being synced in that moment fails for a reason of its own, before.
            *dying, sentence = told(daemon)
            assert "Read-only" in sentence
            assert ["Input/output error" in each for each in dying] in ([], [True])
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def used(image: Path) -> bool:
    """Tell whether anything still holds a file system."""
    done = subprocess.run(["losetup", "-j", str(image)], check=True, capture_output=True)
    return bool(done.stdout.strip())


@pytest.mark.timeout(120)
def test_it_starts_on_a_read_only_disk(tmp_path: Path, disk: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = Daemon(tmp_path, config=CONFIG.replace("port = 0", f"port = {port}"))
    daemon.port = port  # No run.json tells it.
    try:
        with read_only(disk):
            daemon.spawn()
            daemon.ask(f"{A}/sig/worker_active", wanted=1.0, deadline_s=60.0)
            connect(daemon)
            talk(daemon, "in the dark")
            first = daemon.process
            try:
                assert daemon.spawn().wait(30.0) == 69, "a second one is refused"
            finally:
                daemon.process = first
        talk(daemon, "in the light")
        trace = end(daemon)
        daemon.until(trace.exists, 30.0, "the trace")
        assert said(trace) == ["in the dark", "in the light"]
        (sentence,) = told(daemon)
        assert "Read-only" in sentence
        daemon.until(lambda: bool(daemon.run_file()), 30.0, "run.json")
    finally:
        daemon.__exit__()


@pytest.mark.timeout(120)
def test_a_deleted_folder_of_traces_is_said_once_and_made_anew(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        folder = daemon.state_dir / "voice_sessions"

        def written(words: str) -> bool:
            return any(words in path.read_text() for path in folder.glob("*/*.jsonl"))

        connect(daemon)
        talk(daemon, "before")
        daemon.until(lambda: written("before"), 10.0, "the journal")
        # In one step: what is removed file by file may be found half gone, and that is told so.
        folder.rename(tmp_path / "gone")
        talk(daemon, "after")
        daemon.until(lambda: written("after"), 10.0, "the journal, whole")
        assert written("before")
        folder.rename(tmp_path / "gone too")
        assert said(Path(disconnect(daemon))) == ["before", "after"]
        daemon.until(lambda: len(told(daemon)) > 1, 10.0, "the second sentence")
        sentences = told(daemon)
        assert len(sentences) == 2, "once each time"
        assert all("has been written anew, whole" in sentence for sentence in sentences), sentences


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
