"""The writer thread: whole lines, private files, told once, never waited for."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.control import traces
from voiced.control.journal import Append, Finish, Replace, Writer, replace_file
from voiced.mind import journal
from voiced.mind.effects import Row

WAIT_S = 20.0


class Told:
    """What the writer complained about."""

    def __init__(self) -> None:
        self.sentences: list[tuple[Path, str]] = []

    def __call__(self, path: Path, sentence: str) -> None:
        self.sentences.append((path, sentence))


def wait_for(writer: Writer, path: Path) -> None:
    """Wait until everything submitted before this is done."""
    done = threading.Event()
    writer.submit(Finish(path=path, work=done.set))
    assert done.wait(WAIT_S)


def test_lines_are_whole_in_order_and_private(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told)
    path = tmp_path / "a" / "b" / "session.journal.jsonl"
    for number in range(100):
        assert writer.submit(Append(path=path, line=f"line {number}", sync=number % 50 == 0))
    assert writer.close(WAIT_S)
    assert path.read_text().splitlines() == [f"line {number}" for number in range(100)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert told.sentences == []


def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"whole": 1}\n{"torn": ')
    writer = Writer(Told())
    writer.submit(Append(path=path, line='{"next": 2}'))
    assert writer.close(WAIT_S)
    assert path.read_text().splitlines() == ['{"whole": 1}', '{"torn": ', '{"next": 2}']


def test_trouble_is_told_once_until_it_is_mended(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told)
    folder = tmp_path / "sessions"
    folder.write_text("a file in the way")
    path = folder / "a.jsonl"
    for _ in range(5):
        writer.submit(Append(path=path, line="lost"))
    wait_for(writer, tmp_path / "x")
    assert [where for where, _ in told.sentences] == [path]
    folder.unlink()
    writer.submit(Append(path=path, line="kept"))
    wait_for(writer, tmp_path / "x")
    assert path.read_text() == "kept\n"
    # A Finish closes the file; in the way again, it is told again.
    wait_for(writer, path)
    path.unlink()
    folder.rmdir()
    folder.write_text("again")
    writer.submit(Append(path=path, line="lost"))
    assert writer.close(WAIT_S)
    assert len(told.sentences) == 2


def test_a_full_queue_drops_and_tells_once(tmp_path: Path) -> None:
    told = Told()
    writer = Writer(told, capacity=3)
    gate, busy = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        gate.wait(WAIT_S)

    writer.submit(Finish(path=tmp_path / "x", work=block))
    assert busy.wait(WAIT_S)
    path = tmp_path / "a"
    assert [writer.submit(Append(path=path, line=str(n))) for n in range(6)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert len(told.sentences) == 1
    gate.set()
    assert writer.close(WAIT_S)
    assert path.read_text() == "0\n1\n2\n"


def test_a_deleted_file_is_made_anew(tmp_path: Path) -> None:
    writer = Writer(Told())
    path = tmp_path / "a"
    writer.submit(Append(path=path, line="1"))
    wait_for(writer, tmp_path / "x")
    path.unlink()
    # The writer looks once a second, when it syncs: write until it has.
    look_again = threading.Event()
    for _ in range(2000):
        writer.submit(Append(path=path, line="2"))
        wait_for(writer, tmp_path / "x")
        if path.exists():
            break
        look_again.wait(0.01)
    assert path.exists()
    assert writer.close(WAIT_S)


def test_replacing_keeps_the_old_where_the_new_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    replace_file(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told = Told()
    writer = Writer(told)
    writer.submit(Replace(path=path, content=b"new"))
    assert writer.close(WAIT_S)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert "No space left" in told.sentences[0][1]


# --- traces


def row(row_id: str, message: str, index: int = 0) -> Row:
    return Row(
        index=index, role="user", message=message, id=row_id, type="text", metadata="{}",
        timestamp="2026-01-01T00:00:00.000+00:00", session_id="s",
    )  # fmt: skip


def lines(*entries: journal.AnyLine) -> list[bytes]:
    return [journal.encode(entry).encode() for entry in entries]


AT = {"at": "2026-01-01T00:00:00.000+00:00", "mono_ns": 1}
BEGAN = journal.Began(**AT, agent="a", session_id="s", provider="echo", model="m", mode="x")


def test_a_trace_is_what_the_journal_told_last() -> None:
    trace = traces.trace_of(
        "s",
        lines(
            BEGAN,
            journal.LegBegan(**AT, leg=1, resumed="fresh", reason="connect", service_session="x"),
            journal.RowLine(**AT, row=row("1.1", "hel")),
            journal.RowLine(**AT, row=row("1.2", "noise", 1)),
            journal.RowLine(**AT, row=row("1.1", "hello")),
            journal.RowGone(**AT, id="1.2"),
            journal.CostLine(**AT, leg=1, usd=0.1, conversation_usd=0.25),
            journal.HandleLine(**AT, leg=1, handle="h"),
            journal.LatencyLine(**AT, response="r", seconds=0.5),
            journal.StatusLine(**AT, source="audio", code="lost", sentence="gone"),
            journal.Ended(**AT, end_reason="budget", conversation_usd=0.5, handle="h2"),
        ),
        "",
    )
    assert [(each.id, each.message) for each in trace.transcript] == [("1.1", "hello")]
    assert (trace.end_reason, trace.cost_usd, trace.resume_handle) == ("budget", 0.5, "h2")
    assert (trace.agent, trace.provider, len(trace.legs)) == ("a", "echo", 1)
    assert (trace.latencies_s, trace.told[0].sentence) == ([0.5], "gone")


def test_a_trace_is_in_the_order_in_which_things_began() -> None:
    began_later = journal.RowLine(**AT, row=row("1.2", "a tool", 1))
    written_later = journal.RowLine(**AT, row=row("1.1", "whole at last", 0))
    trace = traces.trace_of("s", lines(BEGAN, began_later, written_later), "")
    assert [each.id for each in trace.transcript] == ["1.1", "1.2"]


def test_a_journal_that_stops_anywhere_is_a_trace() -> None:
    whole = b"\n".join(lines(BEGAN, journal.RowLine(**AT, row=row("1.1", "hello"))))
    for cut in range(len(whole) + 1):
        trace = traces.trace_of("s", whole[:cut].splitlines(), "")
        assert trace.session_id == "s"
        assert trace.end_reason == "crash"
        assert len(trace.transcript) == (1 if cut == len(whole) else 0)


@given(st.lists(st.binary(max_size=40)))
def test_foreign_lines_are_left_out(noise: list[bytes]) -> None:
    trace = traces.trace_of("s", [*noise, *lines(BEGAN), *noise], "")
    assert trace.agent == "a"


def test_forget_starts_the_trace_over() -> None:
    trace = traces.trace_of(
        "s", lines(BEGAN, journal.RowLine(**AT, row=row("1.1", "secret")), BEGAN), ""
    )
    assert trace.transcript == []


def test_closing_replaces_the_journal_by_its_trace(tmp_path: Path) -> None:
    path = traces.journal_path(tmp_path, "s")
    path.write_bytes(b"\n".join(lines(BEGAN)) + b'\n{"kind": "row", "ro')
    assert traces.leftovers(tmp_path) == [path]
    assert traces.close_journal(path) == tmp_path / "s.json"
    assert traces.leftovers(tmp_path) == []
    assert traces.close_journal(path) is None
    assert stat.S_IMODE((tmp_path / "s.json").stat().st_mode) == 0o600


def test_forgetting_erases_journal_and_trace(tmp_path: Path) -> None:
    for name in ("s.journal.jsonl", "s.json", "t.json"):
        (tmp_path / name).write_text("")
    writer = Writer(Told())
    writer.submit(traces.forget_job(tmp_path, "s", lambda: None))
    assert writer.close(WAIT_S)
    assert [each.name for each in tmp_path.iterdir()] == ["t.json"]


def recording(file: str, seconds: float = 0.0, instead_of: str = "") -> journal.RecordingLine:
    return journal.RecordingLine(
        **AT, file=file, what="session", began=AT["at"], seconds=seconds, holes=((1.0, 0.5),),
        instead_of=instead_of,
    )  # fmt: skip


def test_a_recording_is_named_from_its_beginning_and_its_last_line_counts() -> None:
    begun, done = recording("s.wav"), recording("s.flac", 3.0, instead_of="s.wav")
    trace = traces.trace_of("s", lines(BEGAN, begun), "")
    assert [(each.file, each.seconds) for each in trace.recordings] == [("s.wav", 0.0)]
    trace = traces.trace_of("s", lines(BEGAN, begun, done), "")
    assert [(each.file, each.seconds) for each in trace.recordings] == [("s.flac", 3.0)]
    assert trace.recordings[0].holes == [(1.0, 0.5)]
    assert traces.trace_of("s", lines(BEGAN, begun, BEGAN), "").recordings == [], "Forget"


def test_a_recording_that_is_finished_after_the_trace_is_added_to_it(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    begun = recording("s.wav")
    traces.write_trace(path, traces.trace_of("s", lines(BEGAN, begun), ""))
    writer = Writer(Told())
    writer.submit(traces.recorded_job(tmp_path, "s", recording("s.flac", 3.0, instead_of="s.wav")))
    writer.submit(traces.recorded_job(tmp_path, "forgotten", begun))
    assert writer.close(WAIT_S)
    assert [each.file for each in traces.read_trace(path).recordings] == ["s.flac"]
    assert [each.name for each in tmp_path.iterdir()] == ["s.json"], "nothing comes back"


def test_traces_of_older_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    traces.write_trace(path, traces.trace_of("s", lines(BEGAN), ""))
    older = msgspec.json.decode(path.read_bytes())
    for later in ("spoken", "recordings"):
        del older[later]
    path.write_bytes(msgspec.json.encode({**older, "unknown": 1}))
    assert traces.read_trace(path).recordings == []
