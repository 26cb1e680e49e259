"""Which trace a session goes on with."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from voiced.control import traces
from voiced.control.recall import recalled
from voiced.mind.effects import Recall

NOW = datetime.datetime(2026, 11, 23, 20, 0, tzinfo=datetime.UTC)


LEG = traces.Leg(at=NOW.isoformat(), leg=1, resumed="fresh", reason="connect", service_session="x")


def trace(folder: Path, stem: str, **fields: object) -> traces.Trace:
    given: dict[str, object] = {
        "session_id": stem, "agent": "a", "provider": "local", "model": "small",
        "mode": "continuous", "started": NOW.isoformat(), "ended": NOW.isoformat(),
        "end_reason": "disconnect", "cost_usd": 0.0, "resume_handle": "h", "legs": [LEG],
        "told": [],
        "transcript": [traces.TraceRow(
            role="user", message="Good evening.", id="1.1", timestamp=NOW.isoformat(), type="text",
            metadata="{}", session_id=stem,
        )],
    }  # fmt: skip
    made = traces.Trace(**{**given, **fields})  # type: ignore[arg-type]
    folder.mkdir(exist_ok=True)
    traces.write_trace(folder / f"{stem}.json", made)
    return made


def found(folder: Path, *, at: datetime.datetime = NOW, **fields: object) -> str:
    wanted = Recall(**{"session_id": "new", "provider": "local", "model": "small", **fields})  # type: ignore[arg-type]
    answer = recalled([folder], "a", wanted, at.timestamp(), set())
    assert answer.session_id == "new"
    return answer.past.session_id if answer.past else answer.sentence


def test_the_newest_of_this_provider_and_model(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1")
    trace(tmp_path, "20261102_100000_local_small_2")
    trace(tmp_path, "20261103_100000_local_large_3", model="large")
    trace(tmp_path, "20261104_100000_other_small_4", provider="other")
    assert found(tmp_path) == "20261102_100000_local_small_2"
    assert found(tmp_path, model="none") == ""


def test_anothers_conversation_in_the_same_folder_is_not_gone_on_with(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1")
    trace(tmp_path, "20261102_100000_local_small_2", agent="b", end_reason="crash")
    assert found(tmp_path) == "20261101_100000_local_small_1"
    trace(tmp_path, "20261101_110000_local_small_3", end_reason="crash")
    assert found(tmp_path, within_s=120) == "20261101_110000_local_small_3"


def test_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1")
    (tmp_path / "20261102_100000_local_small_2.json").write_bytes(b"{torn")
    (tmp_path / "20261103_100000_local_small_3.json").symlink_to("/etc/hostname")
    assert found(tmp_path) == "20261101_100000_local_small_1"


def test_no_folder_is_no_past(tmp_path: Path) -> None:
    assert found(tmp_path / "none") == ""


def test_a_named_trace_is_taken_whatever_it_is_of(tmp_path: Path) -> None:
    trace(tmp_path, "one", provider="other", model="x")
    assert found(tmp_path, file=str(tmp_path / "one.json")) == "one"


def test_a_named_trace_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("{}")
    assert "one.json cannot be gone on with" in found(tmp_path, file=str(tmp_path / "one.json"))
    assert "No such file" in found(tmp_path, file=str(tmp_path / "two.json"))


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1")
    os.mkfifo(tmp_path / "20261102_100000_local_small_2.json")
    assert found(tmp_path) == "20261101_100000_local_small_1"
    assert "no plain file" in found(tmp_path, file=str(next(tmp_path.glob("*_2.json"))))
    assert "Is a directory" in found(tmp_path, file=str(tmp_path))
    os.mkfifo(tmp_path / "20261103_100000_local_small_3.journal.jsonl")
    with pytest.raises(OSError, match="no plain file"):
        traces.close_journal(traces.leftovers(tmp_path)[0])


def test_one_that_was_cut_while_it_began_is_passed_over(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1", end_reason="crash")
    trace(tmp_path, "20261102_100000_local_small_2", end_reason="crash", legs=[], transcript=[])
    trace(tmp_path, "20261103_100000_default_default_3", end_reason="crash", legs=[], provider="")
    assert found(tmp_path) == found(tmp_path, within_s=60) == "20261101_100000_local_small_1"


def spent(folder: Path, **fields: object) -> float:
    wanted = Recall(**{"session_id": "new", "provider": "local", "model": "small", **fields})  # type: ignore[arg-type]
    past = recalled([folder], "a", wanted, NOW.timestamp(), set()).past
    assert past is not None
    return past.usd


def test_what_broke_off_brings_what_it_had_cost(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1", end_reason="budget", cost_usd=0.5)
    assert spent(tmp_path) == 0.0  # It was ended: Connect begins anew.
    cut = "20261102_100000_local_small_2"
    trace(tmp_path, cut, end_reason="crash", cost_usd=0.25, before_usd=0.5)
    assert spent(tmp_path, within_s=120) == spent(tmp_path) == 0.75
    assert spent(tmp_path, file=str(tmp_path / f"{cut}.json")) == 0.0


def test_after_a_power_cut_only_the_very_last_and_only_a_fresh_one(tmp_path: Path) -> None:
    trace(tmp_path, "20261101_100000_local_small_1", end_reason="crash")
    assert found(tmp_path, within_s=120) == "20261101_100000_local_small_1"
    later = NOW + datetime.timedelta(seconds=121)
    assert found(tmp_path, within_s=120, at=later) == ""
    back = NOW - datetime.timedelta(days=1)
    assert found(tmp_path, within_s=120, at=back) == "20261101_100000_local_small_1"
    trace(tmp_path, "20261102_100000_local_small_2", end_reason="disconnect")
    assert found(tmp_path, within_s=120) == "", "the last one was ended on purpose"


def test_rows_come_back_whole(tmp_path: Path) -> None:
    made = trace(tmp_path, "one")
    wanted = Recall(session_id="new", provider="local", model="small")
    past = recalled([tmp_path], "a", wanted, NOW.timestamp(), set()).past
    assert past is not None
    assert past.handle == "h"
    (row,) = past.rows
    (kept,) = made.transcript
    assert {name: getattr(row, name) for name in kept.__struct_fields__} == {
        name: getattr(kept, name) for name in kept.__struct_fields__
    }
