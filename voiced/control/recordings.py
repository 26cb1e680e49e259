"""Recordings that run, and the recorder process that writes them, from the first one to the last.

What a recorder has begun is known here too, so that the successor of a killed one goes on in the
same files. Nothing waits for it: a session whose recorder hangs or is missing goes on all the same.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import assert_never

import msgspec

from voiced.control.books import Books
from voiced.control.children import Child
from voiced.control.minds import Recording
from voiced.lane.seam import Clock
from voiced.lane.words import DeviceSegment
from voiced.messages.framing import Hello, Message
from voiced.messages.recorder import (
    DropRecording,
    FileFinished,
    FromRecorder,
    MarkTurn,
    Part,
    PartMoved,
    Record,
    Recorded,
    RecorderTrouble,
    StopRecording,
)
from voiced.mind import effects, journal

SOURCE = "recorder"
"""onError's word for it."""


class _Running(msgspec.Struct, kw_only=True):
    """A recording that is not finished."""

    record: Record
    parts: dict[int, Part] = {}
    marks: dict[tuple[str, int], MarkTurn] = {}
    """Turns that have no file yet, by row id and first frame."""
    stop: StopRecording | None = None


class Recordings:
    """What is being recorded.

    Args:
        child: the recorder.
        device: for the times of frames.
        clock: the daemon's.
        books: where journals and traces are written.
        finished: takes an agent and the path of a file that is complete.
        trouble: takes an agent, a code and a sentence.
    """

    def __init__(
        self,
        child: Child[FromRecorder],
        device: DeviceSegment,
        clock: Clock,
        books: Books,
        finished: Callable[[str, str], None],
        trouble: Callable[[str, str, str], None],
    ) -> None:
        self._child, self._device, self._clock, self._books = child, device, clock, books
        self._finished, self._trouble = finished, trouble
        self._running: dict[str, _Running] = {}
        """By session id."""
        self._lost_told = False

    @property
    def sessions(self) -> frozenset[str]:
        """Sessions whose recording is not finished."""
        return frozenset(self._running)

    # --- from the minds

    def perform(self, agent: str, effect: Recording, folder: Path) -> None:
        """Do what an agent wants; `folder` is its traces'."""
        match effect:
            case effects.Record():
                record = Record(
                    agent=agent,
                    session_id=effect.session_id,
                    folder=str(folder),
                    what=effect.what,
                    format=effect.format,
                    from_frame=effect.from_frame,
                )
                self._running[effect.session_id] = _Running(record=record)
                self._tell(record)
                self._child.start()
            case effects.RecordTurn():
                self._mark(agent, effect)
            case effects.RecordOver():
                if running := self._running.get(effect.session_id):
                    running.stop = StopRecording(
                        agent=agent, session_id=effect.session_id, to_frame=effect.to_frame
                    )
                    self._tell(running.stop)
            case _:
                assert_never(effect)

    def _mark(self, agent: str, effect: effects.RecordTurn) -> None:
        running = self._running.get(effect.session_id)
        if running is None:
            return
        mark = MarkTurn(
            agent=agent,
            session_id=effect.session_id,
            role=effect.role,
            id=effect.id,
            start_frame=effect.start_frame,
            end_frame=effect.end_frame,
        )
        running.marks[effect.id, effect.start_frame] = mark
        self._tell(mark)

    def drop(self, agent: str, session_id: str) -> bool:
        """Forget a session's recording; True where the recorder erases what there is of it."""
        running = self._running.pop(session_id, None)
        return running is not None and self._tell(DropRecording(agent=agent, session_id=session_id))

    def _tell(self, message: Message) -> bool:
        """Tell a recorder that runs; one that starts is told everything by `greeting`."""
        return self._child.send(message)

    # --- from the recorder

    def greeting(self) -> Iterable[Message]:
        """Yield what a fresh recorder must know: where each recording stands."""
        self._lost_told = False
        for running in self._running.values():
            parts = [running.parts[number] for number in sorted(running.parts)]
            yield msgspec.structs.replace(running.record, parts=parts)
            yield from running.marks.values()
            if running.stop is not None:
                yield running.stop

    def take(self, message: FromRecorder) -> None:
        """Take what the recorder says."""
        match message:
            case PartMoved():
                self._part(message)
            case FileFinished():
                self._file(message)
            case Recorded():
                self._running.pop(message.session_id, None)
                if not self._running:
                    self._child.stop()
            case RecorderTrouble():
                self._trouble(message.agent, message.code, message.sentence)
            case Hello():
                pass
            case _:
                assert_never(message)

    def exited(self, sentence: str) -> None:
        """The recorder ended, and nobody had asked it to."""
        if not self._lost_told:
            self._lost_told = True
            for agent in {running.record.agent for running in self._running.values()}:
                self._trouble(agent, "lost", sentence)

    def _known(self, session_id: str, near_frame: int) -> _Running | None:
        """Return a running recording; None for what was told before Forget began it anew."""
        running = self._running.get(session_id)
        if running is None or near_frame < running.record.from_frame:
            return None
        return running

    def _part(self, message: PartMoved) -> None:
        part = message.part
        running = self._known(message.session_id, part.anchors[0].near_frame)
        if running is None:
            return
        fresh = part.number not in running.parts
        running.parts[part.number] = part
        if fresh and running.record.what != "turns":
            began = self._time_of(part.anchors[0].near_frame)
            self._write(running, self._line(file=part.file, what="session", began=began))

    def _file(self, message: FileFinished) -> None:
        running = self._running.get(message.session_id)
        if running is None:
            return
        if message.what == "turn":
            running.marks.pop((message.id, message.start_frame), None)
        begun = running.parts.get(message.number)
        line = self._line(
            file=message.file,
            what=message.what,
            began=self._time_of(message.near_frame),
            seconds=round(message.seconds, 6),
            holes=tuple(message.holes),
            id=message.id,
            instead_of=begun.file if begun is not None else "",
        )
        self._write(running, line)
        self._finished(running.record.agent, str(Path(running.record.folder, message.file)))

    def _line(
        self,
        *,
        file: str,
        what: str,
        began: str,
        seconds: float = 0.0,
        holes: tuple[tuple[float, float], ...] = (),
        id: str = "",
        instead_of: str = "",
    ) -> journal.RecordingLine:
        return journal.RecordingLine(
            at=_iso(time.time()),
            mono_ns=self._clock.mono_ns(),
            file=file,
            what=what,
            began=began,
            seconds=seconds,
            holes=holes,
            id=id,
            instead_of=instead_of,
        )

    def _write(self, running: _Running, line: journal.RecordingLine) -> None:
        """Name a recording in its session's journal or trace."""
        self._books.recorded(Path(running.record.folder), running.record.session_id, line)

    def _time_of(self, near_frame: int) -> str:
        """Return when a near frame passed, as people read it."""
        now = time.time()
        epoch = self._device.epoch("input", near_frame)
        if epoch is None:
            return _iso(now)
        ago_s = self._clock.real_s((self._clock.mono_ns() - epoch.time_of(near_frame)) / 1e9)
        return _iso(now - max(0.0, ago_s))


def _iso(unix: float) -> str:
    return datetime.datetime.fromtimestamp(unix).astimezone().isoformat("T", "milliseconds")
