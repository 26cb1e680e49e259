"""What the daemon writes down: kept values, sessions' journals and traces, money spent."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from voiced.control import archive, ledger, traces
from voiced.control.allowance import Allowance, Now
from voiced.control.config.model import BudgetConfig
from voiced.control.journal import Append, Finish, Replace, Writer
from voiced.control.osc.targets import SavedSubscription
from voiced.control.recall import recalled
from voiced.control.state import load_state
from voiced.lane.seam import boot
from voiced.messages.network import Value
from voiced.mind import effects
from voiced.mind.inputs import Recalled
from voiced.mind.journal import RecordingLine, encode

log = logging.getLogger("voiced")

KEEP_S = 0.5
"""Changed values are written at most so often: a fader moves 60 times a second. They are looked at
four times a second, so that a power cut costs less than the last second of them."""
TRACE_S = 3.0
"""How long the end of a session is not told for the sake of its trace."""
LEAST_USD = 1e-9
"""Less is what sums of floats differ by."""
WRITER_END_S = 0.3
"""What the writer gets for its last lines."""


class Books:
    """Everything in the state folder.

    Args:
        told: takes a code and a sentence where something cannot be written; in the loop.

    Attributes:
        state: kept values and the mute, as they were at the start and as they change.
        problems: sentences about what could not be read at the start.
        allowance: what the day's and the month's budget leave.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, state_dir: Path, told: Callable[[str, str], None]
    ) -> None:
        self._loop = loop
        self._state_dir = state_dir
        self._writer = Writer(
            lambda path, sentence: _hand_over(loop, lambda: told("trace", sentence))
        )
        self.state, problem = load_state(state_dir)
        self._damaged: set[Path] = set()
        bookings = ledger.Reading(state_dir / ledger.FILE)
        self.allowance = Allowance(BudgetConfig(), bookings, moment())
        self.problems = [each for each in (problem, bookings.damage) if each]
        self._dirty = False
        self._kept_at = 0.0
        self._folders: dict[str, Path] = {}

    def folder(self, agent: str, named: str = "") -> Path:
        """Return where an agent's traces are; `named` is its Sessiontracedir."""
        return Path(named) if named else self._state_dir / traces.FOLDER / agent

    def folder_of(self, session_id: str, otherwise: Path) -> Path:
        """Return where a running session is written, `otherwise` where it is not yet."""
        return self._folders.get(session_id, otherwise)

    def folders(self) -> list[Path]:
        """Return where Sessiontracedir ever had traces written."""
        return [Path(each) for each in self.state.folders]

    def close_leftovers(self, folder: Path) -> int:
        """Close the journals of sessions that never ended; return how many there are."""
        left = traces.leftovers(folder)
        for path in left:
            self._writer.submit(Finish(path=path, work=partial(self._close, path)))
        self._writer.submit(Finish(path=folder, work=lambda: archive.sweep(folder)))
        return len(left)

    def _close(self, path: Path) -> None:
        """Close a journal that broke off, and book what was pending then; in the writer's thread.

        Any other leg books it as it ends.
        """
        closed = traces.close_journal(path)
        if closed is None:
            return
        trace = traces.read_trace(closed)
        bookings = ledger.Reading(self._state_dir / ledger.FILE, trace.session_id)
        owed = trace.cost_usd - sum(
            each.usd for each in bookings if each.session_id == trace.session_id
        )
        if owed > LEAST_USD:
            spend = effects.Spend(
                session_id=trace.session_id, provider=trace.provider, model=trace.model, usd=owed
            )
            _hand_over(self._loop, lambda: self.spend(trace.agent, spend))

    def keep(self, agent: str, effect: effects.Keep, config: Value | None) -> None:
        """Keep a value; it is written within KEEP_S."""
        self.state.keep(agent, effect.page, effect.name, effect.value, config)
        self._dirty = True

    def forget_value(self, agent: str, page: str, name: str) -> None:
        """Keep a value no longer; that is written within KEEP_S."""
        self._dirty |= self.state.forget(agent, page, name)

    def keep_mute(self, on: bool) -> None:
        """Keep the mute; it is written within KEEP_S."""
        self.state.muted = on
        self._dirty = True

    def keep_subscriptions(self, subscriptions: list[SavedSubscription]) -> None:
        """Keep who is sent what without a lease; it is written within KEEP_S."""
        self.state.subscriptions = subscriptions
        self._dirty = True

    def flush(self, now: float, *, force: bool = False) -> None:
        """Write the state file where something changed and the last time is long enough ago."""
        if self._dirty and (force or now - self._kept_at >= KEEP_S):
            self._dirty, self._kept_at = False, now
            self._writer.submit(self.state.file(self._state_dir))

    def journal(self, folder: Path, effect: effects.Journal) -> None:
        """Append a line to a session's journal; its first line decides the folder."""
        if effect.session_id not in self._folders:
            self._folders[effect.session_id] = folder
            if folder.parent != self._state_dir / traces.FOLDER:
                self.state.wrote_into(str(folder))
                self._dirty = True
        folder = self._folders[effect.session_id]
        self._writer.submit(
            traces.line_job(folder, effect.session_id, effect.line, sync=effect.sync)
        )

    def close_trace(self, effect: effects.TraceClosed, done: Callable[[], None]) -> None:
        """Turn a session's journal into its trace; tells in the loop, once, that it is there.

        A disk that does not let it, or takes longer than TRACE_S, is not waited for.
        """
        # A power cut right behind an end that was told must not find the session wished for: what
        # a budget has ended would begin anew, with all of that budget.
        self.flush(self._loop.time(), force=True)
        folder = self._folders.pop(effect.session_id, None)
        waiting = [done]

        def once() -> None:
            while waiting:
                waiting.pop()()

        path = traces.journal_path(folder or self._state_dir, effect.session_id)
        job = traces.close_job(path, effect.end_reason, lambda: _hand_over(self._loop, once))
        if folder is None or not self._writer.submit(job):
            once()
        else:
            self._loop.call_later(TRACE_S, once)

    def recall(
        self, agent: str, folder: Path, effect: effects.Recall, answer: Callable[[Recalled], None]
    ) -> None:
        """Find a past conversation, once every trace before it is written; answers in the loop.

        Args:
            agent: whose session goes on with it.
            folder: of the agent's traces now; where they were before is looked into as well.
            effect: what the mind asked for.
            answer: takes what was found.
        """
        folders = list(dict.fromkeys([folder, self.folder(agent), *self.folders()]))

        def work() -> None:
            found = recalled(folders, agent, effect, time.time(), self._damaged)
            _hand_over(self._loop, lambda: answer(found))

        self._writer.submit(Finish(path=folder / effect.session_id, work=work))

    def forget(
        self, folder: Path, effect: effects.ForgetSession, *, recordings: bool = True
    ) -> None:
        """Erase what is written of a session; its `recordings` unless the recorder does."""
        stem = effect.session_id
        folder = self._folders.get(stem, folder)

        def erase() -> None:
            if recordings:
                archive.erase(archive.recordings_of(folder, stem))

        self._writer.submit(traces.forget_job(folder, stem, erase))

    def recorded(self, folder: Path, session_id: str, line: RecordingLine) -> None:
        """Name a recording in the session's journal, or in its trace where that is written."""
        if session_id in self._folders:
            text = encode(line)
            self._writer.submit(traces.line_job(self._folders[session_id], session_id, text))
        else:
            self._writer.submit(traces.recorded_job(folder, session_id, line))

    def expire(self, folders: Iterable[Path], days: int, recorded: frozenset[str]) -> None:
        """Remove what is older than so many days, but nothing of a session that runs.

        Args:
            folders: of traces.
            days: above 0.
            recorded: sessions that a recorder still works on.
        """
        before, kept = time.time() - days * archive.DAY_S, recorded | frozenset(self._folders)
        for folder in folders:

            def work(folder: Path = folder) -> None:
                removed = archive.expire(folder, before, kept)
                if removed.traces or removed.recordings:
                    log.info(
                        "= retention: %d traces and %d recordings older than %d days were removed",
                        removed.traces, removed.recordings, days,
                    )  # fmt: skip

            self._writer.submit(Finish(path=folder, work=work))

    def spend(self, agent: str, effect: effects.Spend) -> None:
        """Book money, synced to the disk."""
        now = moment()
        booking = ledger.Booking(
            time=datetime.datetime.fromtimestamp(now.unix)
            .astimezone()
            .isoformat("T", "milliseconds"),
            unix=now.unix,
            boot=now.boot,
            boot_s=now.boot_s,
            agent=agent,
            session_id=effect.session_id,
            provider=effect.provider,
            model=effect.model,
            usd=effect.usd,
        )
        path = self._state_dir / ledger.FILE
        self._writer.submit(Append(path=path, line=ledger.line_of(booking), sync=True))
        self.allowance.booked(booking)

    def replace(self, name: str, content: bytes) -> None:
        """Put a file of the state folder anew."""
        self._writer.submit(Replace(path=self._state_dir / name, content=content))

    def kept(
        self, agent: str, config: Mapping[tuple[str, str], Value]
    ) -> dict[tuple[str, str], Value]:
        """Return an agent's kept values; those that the configuration overrules are forgotten."""
        before = sum(len(rows) for rows in self.state.values.get(agent, {}).values())
        values = self.state.values_of(agent, config)
        self._dirty |= len(values) != before
        return values

    def was_active(self, agent: str) -> bool:
        """Tell whether a session was wished for when the daemon last ended."""
        kept = self.state.values.get(agent, {}).get("par", {}).get("Active")
        return kept is not None and bool(kept.value)

    def close(self) -> bool:
        """Write what is left; False where the disk is too slow for it."""
        self.flush(time.monotonic(), force=True)
        return self._writer.close(WRITER_END_S)


def moment() -> Now:
    """Return now, by the clock people read and by the one nobody sets."""
    name, seconds = boot()
    return Now(time.time(), name, seconds)


def _hand_over(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call in the loop, from the writer's thread or from the loop itself."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
