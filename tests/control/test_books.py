"""What is made of the state folder at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from voiced.control import ledger
from voiced.control.books import Books
from voiced.control.state import load_state
from voiced.control.traces import JOURNAL, read_trace
from voiced.mind import effects, journal

AT = {"at": "2026-11-23T20:00:00.000+00:00", "mono_ns": 1}
STEM = "20261123_200000_p_m_1"


@pytest.mark.parametrize("booked", [0.25, 0.3])
def test_what_was_pending_when_the_power_went_is_booked_once(tmp_path: Path, booked: float) -> None:
    folder = tmp_path / "voice_sessions" / "a"
    folder.mkdir(parents=True)
    lines = (
        journal.Began(**AT, agent="a", session_id=STEM, provider="p", model="m", mode="x"),
        journal.CostLine(**AT, leg=1, usd=booked, conversation_usd=0.3, response="r"),
    )
    (folder / f"{STEM}{JOURNAL}").write_text("".join(journal.encode(each) + "\n" for each in lines))

    async def start() -> None:
        books = Books(asyncio.get_running_loop(), tmp_path, lambda code, sentence: None)
        if not (tmp_path / ledger.FILE).exists():
            books.spend("a", effects.Spend(session_id=STEM, provider="p", model="m", usd=booked))
        books.close_leftovers(folder)
        over = asyncio.get_running_loop().create_future()
        wanted = effects.Recall(session_id="new", provider="p", model="m")
        books.recall("a", folder, wanted, over.set_result)  # It comes behind all of it.
        await over
        assert books.close()

    for _ in range(2):
        asyncio.run(start())
    bookings = list(ledger.Reading(tmp_path / ledger.FILE))
    assert sum(each.usd for each in bookings) == pytest.approx(0.3)
    assert len(bookings) == (2 if booked < 0.3 else 1)
    assert read_trace(folder / f"{STEM}.json").cost_usd == 0.3


def test_a_session_that_is_told_to_be_over_is_wished_for_no_more_on_the_disk(
    tmp_path: Path,
) -> None:
    def active() -> object:
        return load_state(tmp_path)[0].values["a"]["par"]["Active"].value

    async def run() -> None:
        loop = asyncio.get_running_loop()
        books = Books(loop, tmp_path, lambda code, sentence: None)
        books.keep("a", effects.Keep(page="par", name="Active", value=True), None)
        books.flush(loop.time())
        folder = tmp_path / "voice_sessions" / "a"
        line = journal.Began(**AT, agent="a", session_id=STEM, provider="p", model="m", mode="x")
        books.journal(folder, effects.Journal(session_id=STEM, line=journal.encode(line)))
        books.keep("a", effects.Keep(page="par", name="Active", value=False), None)
        over = loop.create_future()
        closed = effects.TraceClosed(session_id=STEM, end_reason="budget")
        books.close_trace(closed, lambda: over.set_result(active()))
        assert await over is False, "a power cut in this moment would begin it anew"
        assert books.close()

    asyncio.run(run())
