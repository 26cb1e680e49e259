"""`voiced traces`: past conversations from their folders, whole, running, broken off, damaged."""

from __future__ import annotations

import contextlib
import csv
import datetime
import fcntl
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from voiced import cli
from voiced.control.traces import Recording, Spoken, Trace, TraceRow, Turn, write_trace
from voiced.errors import ExitCode
from voiced.mind import journal
from voiced.mind.effects import Row

ONE = "20260101_100000_echo_default_00000001"
TWO = "20260105_100000_echo_gpt-2.1_00000002"
JSON_COLUMNS = ["role", "message", "id", "timestamp", "type", "metadata", "session_id"]


class Told(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def voiced(state: Path, *words: str, stdin: str = "") -> Told:
    """Run the verb in this process: what it prints, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(["traces", words[0], "--state-dir", str(state), *words[1:]])
            except SystemExit as ended:
                code = int(ended.code or 0)
    return Told(code, out.getvalue(), err.getvalue())


def at(second: float, day: int = 1) -> str:
    moment = datetime.datetime(2026, 1, day, 10, 0, 0).astimezone()
    return (moment + datetime.timedelta(seconds=second)).isoformat("T", "milliseconds")


def row(row_id: str, role: str, message: str, second: float, day: int = 1) -> TraceRow:
    return TraceRow(
        role=role, message=message, id=row_id, timestamp=at(second, day), type="text",
        metadata="{}", session_id=ONE,
    )  # fmt: skip


def trace(stem: str, *rows: TraceRow, day: int = 1, agent: str = "voice_agent") -> Trace:
    return Trace(
        session_id=stem, agent=agent, provider="echo", model="m", mode="continuous",
        started=at(0, day), ended=at(65, day), end_reason="disconnect", cost_usd=0.125,
        resume_handle="h", legs=[], transcript=list(rows), told=[],
        turns=[Turn(at=at(1, day), leg=1, response="r", latency_s=0.5)],
    )  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "voice_sessions" / "voice_agent"
    write_trace(
        folder / f"{ONE}.json",
        trace(ONE, row("1.1", "user", "Where is the Fountain?", 2), row("1.2", "assistant", "", 3)),
    )
    other = tmp_path / "voice_sessions" / "other"
    write_trace(
        other / f"{TWO}.json",
        trace(TWO, row("1.1", "user", "nothing; but, \"this\"", 2, 5), day=5, agent="other"),
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def held(state: Path) -> Iterator[Path]:
    """A state folder that a daemon holds."""
    fd = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, f"{os.getpid()}\n".encode())
    yield state
    os.close(fd)


def add_journal(state: Path, stem: str) -> Path:
    told = {"at": at(1), "mono_ns": 1}
    lines = [
        journal.Began(**told, agent="voice_agent", session_id=stem, provider="echo", model="m",
                      mode="continuous"),
        journal.RowLine(**told, row=Row(index=0, role="user", message="half a word", id="1.1",
                                        timestamp=at(1), type="text", metadata="{}",
                                        session_id=stem)),
    ]  # fmt: skip
    path = state / "voice_sessions" / "voice_agent" / f"{stem}.journal.jsonl"
    path.write_text("".join(journal.encode(line) + "\n" for line in lines) + '{"kind": "ro')
    return path


def test_a_line_for_each_oldest_first(state: Path) -> None:
    told = voiced(state, "list")
    assert told.returncode == ExitCode.DONE
    assert told.stderr == ""
    first, second = told.stdout.splitlines()
    assert ONE in first
    assert "1 min 05 s" in first
    assert "$0.1250" in first
    assert TWO in second


def test_filters(state: Path) -> None:
    def stems(*words: str) -> list[str]:
        told = voiced(state, "list", "--format", "json", *words)
        assert told.returncode == ExitCode.DONE, told.stderr
        return [each["session_id"] for each in json.loads(told.stdout)]

    assert stems() == [ONE, TWO]
    assert stems("--agent", "other") == [TWO]
    assert stems("--since", "2026-01-02") == [TWO]
    assert stems("--until", "2026-01-01") == [ONE], "a day is meant to its end"
    assert stems("--until", "2026-01-01T09:00") == []
    assert stems("--since", "1h") == []
    assert stems("--grep", "fountain") == [ONE]
    assert stems("--grep", "fount.*fount") == []


def test_where_there_is_nothing_it_is_said(state: Path) -> None:
    told = voiced(state, "list", "--grep", "nowhere")
    assert (told.returncode, told.stdout) == (ExitCode.DONE, "")
    assert "none of 2 conversations" in told.stderr
    empty = state / "empty"
    assert str(empty) in voiced(empty, "list").stderr
    assert str(empty) in voiced(empty, "export", "--out", str(state)).stderr


def test_a_reply_of_which_nothing_was_heard_is_told_as_such(state: Path) -> None:
    cut = msgspec.structs.replace(
        row("1.1", "assistant", "", 2), metadata='{"heard_ms":0,"interrupted":true}'
    )
    path = state / "voice_sessions" / "other" / f"{TWO}.json"
    write_trace(path, trace(TWO, cut, day=5, agent="other"))
    assert "assistant (cut off before a word of it was heard)" in voiced(state, "show").stdout
    assert "  1 row  " in voiced(state, "list").stdout


@pytest.mark.parametrize(
    "words",
    [("--since", "soon"), ("--grep", "("), ("--format", "vtt"), ("--since", "9" * 30 + "d")],
)
def test_what_makes_no_sense_is_usage(state: Path, words: tuple[str, ...]) -> None:
    told = voiced(state, "list", *words)
    assert told.returncode == ExitCode.USAGE
    assert "Traceback" not in told.stderr


def test_csv_holds_the_seven_columns_whole(state: Path) -> None:
    told = voiced(state, "show", TWO[:12], "--format", "csv")
    header, only = csv.reader(io.StringIO(told.stdout))
    assert header == JSON_COLUMNS
    assert only[1] == 'nothing; but, "this"'
    listed = list(csv.DictReader(io.StringIO(voiced(state, "list", "--format", "csv").stdout)))
    assert [each["rows"] for each in listed] == ["2", "1"]


def test_json_is_the_trace_itself(state: Path) -> None:
    told = voiced(state, "show", "last", "--format", "json")
    path = state / "voice_sessions" / "other" / f"{TWO}.json"
    assert json.loads(told.stdout) == json.loads(path.read_text())
    assert list(json.loads(told.stdout)["transcript"][0]) == JSON_COLUMNS


def test_captions_stand_while_the_words_sounded(state: Path) -> None:
    long = "This is a sentence that is longer than two lines of a caption can ever be, is it not?"
    folder = state / "voice_sessions" / "voice_agent"
    whole = msgspec.structs.replace(
        trace(ONE, row("1.1", "user", "Who <are> you?", 2.9), row("1.2", "assistant", long, 3.1),
              row("1.3", "system", "refreshed", 9)),
        spoken=[Spoken(id="1.1", began=at(2), ended=at(3.5)),
                Spoken(id="1.2", began=at(4.25), ended=at(8.25))],
        recordings=[Recording(file="x.wav", what="session", began=at(0.25), seconds=10.0,
                              holes=[], id="")],
    )  # fmt: skip
    write_trace(folder / f"{ONE}.json", whole)
    srt = voiced(state, "show", ONE, "--format", "srt").stdout.split("\n\n")
    assert srt[0] == "1\n00:00:01,750 --> 00:00:03,250\nvisitor: Who <are> you?"
    assert srt[1].startswith("2\n00:00:04,000 --> ")
    assert srt[2].startswith("3\n")
    assert srt[2].splitlines()[1].endswith("--> 00:00:08,000"), "to the last word's end"
    assert srt[1].splitlines()[1].split(" --> ")[1] == srt[2].splitlines()[1].split(" --> ")[0]
    assert len(srt) == 3
    vtt = voiced(state, "show", ONE, "--format", "vtt").stdout
    assert vtt.startswith(
        "WEBVTT\n\n00:00:01.750 --> 00:00:03.250\n<v visitor>Who &lt;are&gt; you?"
    )


def test_rows_without_times_stand_at_their_stamp(state: Path) -> None:
    told = voiced(state, "show", ONE, "--format", "srt").stdout
    assert told.startswith("1\n00:00:02,000 --> 00:00:03,467\nvisitor: Where is the Fountain?")


def test_a_running_and_a_broken_off_session_are_shown_as_such(held: Path) -> None:
    stem = "20260109_100000_echo_m_0000000a"
    add_journal(held, stem)
    listed = voiced(held, "list").stdout.splitlines()
    assert [stem in line for line in listed if "running" in line] == [True]
    assert "half a word" in voiced(held, "show", stem).stdout
    refused = voiced(held, "forget", "--yes", stem)
    assert refused.returncode == ExitCode.FAILED
    assert "pulse Forget" in refused.stderr
    assert (held / "voice_sessions" / "voice_agent" / f"{stem}.journal.jsonl").exists()
    (held / "lock").unlink()
    told = voiced(held, "list")
    assert "broken off" in told.stdout
    assert voiced(held, "forget", "--yes", stem).returncode == ExitCode.DONE
    assert stem not in voiced(held, "list").stdout


def test_damaged_files_are_named_and_stop_nothing(state: Path) -> None:
    folder = state / "voice_sessions" / "voice_agent"
    (folder / "20260102_000000_a_b_00000003.json").write_text('{"session_id": "x", ')
    (folder / "20260103_000000_a_b_00000004.json").write_bytes(b"\xff\xfe\x00")
    (folder / "20260104_000000_a_b_00000005.json").mkdir()
    told = voiced(state, "list")
    assert told.returncode == ExitCode.FAILED
    assert [ONE in line or TWO in line for line in told.stdout.splitlines()] == [True, True]
    for number in (3, 4, 5):
        assert f"_0000000{number}.json" in told.stderr
    assert voiced(state, "show", ONE).stderr == "", "nobody asked for the others"
    assert "_00000003.json" in voiced(state, "show", "20260102").stderr


def test_exports_are_private_and_nothing_is_written_over(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = voiced(state, "export", "--format", "vtt", "--out", str(out))
    assert told.returncode == ExitCode.DONE
    assert sorted(each.name for each in out.iterdir()) == [f"{ONE}.vtt", f"{TWO}.vtt"]
    assert stat.S_IMODE((out / f"{ONE}.vtt").stat().st_mode) == 0o600
    again = voiced(state, "export", ONE, "--format", "vtt", "--out", str(out))
    assert again.returncode == ExitCode.FAILED
    assert "is there already" in again.stderr


def test_forget_asks_and_takes_the_recordings_along(state: Path) -> None:
    folder = state / "voice_sessions" / "voice_agent"
    for name in (f"{ONE}.wav", f"{ONE}.part2.wav", f"{ONE}0.json"):
        (folder / name).write_bytes(b"RIFF")
    turns = folder / f"{ONE}.turns"
    turns.mkdir()
    (turns / "1.wav").write_bytes(b"RIFF")
    for answer in ("", "n\n", "\n"):
        kept = voiced(state, "forget", ONE, stdin=answer)
        assert kept.returncode == ExitCode.FAILED
        assert (folder / f"{ONE}.json").exists()
    assert voiced(state, "forget", ONE, stdin="y\n").returncode == ExitCode.DONE
    assert [each.name for each in folder.iterdir()] == [f"{ONE}0.json"], "another's stays"


def test_forget_wants_to_know_what(state: Path) -> None:
    assert voiced(state, "forget", "--yes").returncode == ExitCode.USAGE
    assert voiced(state, "forget", "--yes", "--agent", "other").returncode == ExitCode.DONE
    assert TWO not in voiced(state, "list").stdout


def test_names(state: Path) -> None:
    assert voiced(state, "show", "2026").returncode == ExitCode.FAILED, "two begin with it"
    assert voiced(state, "show", "1999").returncode == ExitCode.FAILED
    assert voiced(state, "show", str(state / f"{ONE}.json")).returncode == ExitCode.DONE
    assert voiced(state / "none", "list").returncode == ExitCode.DONE
