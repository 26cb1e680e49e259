"""One session being recorded: its parts on disk, its turns cut from them, its end.

A part's frames follow near's one by one from its last anchor on, so that a successor of a killed
recorder finds from the file's length alone where to read on. What could not be read or written in
time is silence of the same length, noted as a hole.
"""

from __future__ import annotations

import contextlib
import re
from array import array
from collections.abc import Callable, Generator
from pathlib import Path
from typing import assert_never

import msgspec

from voiced.lane.words import DeviceSegment, LaneSegment
from voiced.messages.recorder import (
    Anchor,
    FileFinished,
    FromRecorder,
    Hole,
    MarkTurn,
    Part,
    PartMoved,
    Record,
    RecorderTrouble,
)
from voiced.recorder import flac
from voiced.recorder.reader import Chunk, Lost, Reader, Turned
from voiced.recorder.wav import WavFile

RETRY_S = 5.0
"""A disk that refuses is tried again after so long."""
HEADER_EVERY_S = 0.5
"""How often what was recorded is put onto the disk: after a power cut it is there."""
END_S = 3.0
"""How long the last frames are waited for."""
LONGEST_HOLE_S = 60.0
"""After a longer break a new part begins."""
STEREO, MONO = 2, 1
_NO_FRAMES = (
    "nothing was recorded: no sound card brought a frame of the microphone while the session was "
    "open, and a recording follows its frames; see audio.input in the configuration"
)

Tell = Callable[[FromRecorder], None]
Steps = Generator[FileFinished | None, None, None]
"""Work in small steps; a file is told when it is there."""


class Recording:
    """One session.

    Args:
        wanted: what control asked for.
        lane: mapped for reading.
        device: for the epochs.
        tell: where messages go.

    Attributes:
        wanted: as given.
        stop_at: near frame to end at; None = not known yet.
        finished: whether `finish` has run to its end.
    """

    def __init__(
        self, wanted: Record, lane: LaneSegment, device: DeviceSegment, tell: Tell
    ) -> None:
        self.wanted = wanted
        self.stop_at: int | None = None
        self.finished = False
        self._folder = Path(wanted.folder)
        self._lane, self._device, self._tell = lane, device, tell
        self._reader = Reader(lane, device, wanted.from_frame)
        self._parts: list[Part] = list(wanted.parts)
        self._file: WavFile | None = None
        self._marks: list[MarkTurn] = []
        self._troubled: set[str] = set()
        self._retry_at = self._header_at = self._idle_since = 0.0
        if self._parts:
            self._resume(self._parts[-1])
        else:
            # Of a predecessor that died before it could erase it, or tell of it.
            _erase(self._folder, wanted.session_id)

    # --- control's words

    def mark(self, turn: MarkTurn) -> None:
        """Cut this turn once everything of it is on disk."""
        self._marks.append(turn)

    def drop(self) -> None:
        """Erase everything of it."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
        _erase(self._folder, self.wanted.session_id)

    def keep_wav(self) -> None:
        """Pack nothing any more: there is no time for it."""
        self.wanted = msgspec.structs.replace(self.wanted, format="wav")

    # --- recording

    def advance(self, now: float) -> bool:
        """Take the next stretch; tell whether there may be more at once.

        Args:
            now: real monotonic seconds.
        """
        if now < self._retry_at:
            return False
        try:
            found = self._reader.next(self.stop_at)
            more = found is not None and self._take(found)
            self._wait_for_end(now, idle=not more)
            if self._file is not None and now >= self._header_at:
                self._header_at = now + HEADER_EVERY_S
                self._file.update()
        except OSError as error:
            self._refused(error, now)
            return False
        return more

    def _wait_for_end(self, now: float, *, idle: bool) -> None:
        """End where it is, if the card that was to bring the rest is gone."""
        if not idle or self.stop_at is None:
            self._idle_since = now
        elif now - self._idle_since > END_S:
            self.stop_at = self._reader.position

    @property
    def at_end(self) -> bool:
        """Whether everything up to `stop_at` was read, or never will be."""
        return self.stop_at is not None and self._reader.position >= self.stop_at

    def _take(self, found: Chunk | Lost | Turned) -> bool:
        match found:
            case Chunk():
                try:
                    self._append(found)
                except OSError:
                    # The ring keeps it for a while: it is read again when the disk takes it.
                    self._reader.position = found.start
                    raise
            case Lost():
                pass  # The next chunk lies behind it, and `_append` fills the way.
            case Turned():
                self._turn(found)
            case _:
                assert_never(found)
        return True

    def _append(self, chunk: Chunk) -> None:
        """Write a chunk where it belongs."""
        file, delay = self._file, self._reader.delay
        missing = 0 if file is None else chunk.start - self._next_frame(file)
        if file is None or file.full or missing > LONGEST_HOLE_S * self._parts[-1].samplerate:
            file = self._begin(chunk.start)
            if self._reader.delay != delay:
                self._reader.position = chunk.start  # Once more, with right where it belongs now.
                return
        elif missing > 0:
            self._silence(file, missing)
        file.append(chunk.pairs)
        self._troubled.discard("disk")

    def _next_frame(self, file: WavFile) -> int:
        """Return the near frame that the file's end is."""
        last = self._parts[-1].anchors[-1]
        return last.near_frame + file.frames - last.file_frame

    def _silence(self, file: WavFile, frames: int) -> None:
        at = file.frames
        file.silence(frames)
        hole = Hole(file_frame=at, frames=frames)
        self._move(holes=[*self._parts[-1].holes, hole])

    def _turn(self, turned: Turned) -> None:
        """Go on in another stream: the time without one is silence."""
        file = self._file
        if file is None:
            return
        before, now = turned.before, turned.now
        lost_s = (now.mono_ns - before.time_of(now.frame)) / 1e9
        if now.samplerate != before.samplerate or lost_s > LONGEST_HOLE_S:
            self._close(file)
            return
        missing = self._reader.position - self._next_frame(file)
        frames = max(0, round(lost_s * now.samplerate)) + max(0, missing)
        if frames:
            self._silence(file, frames)
        anchor = Anchor(file_frame=file.frames, near_frame=self._reader.position)
        self._move(anchors=[*self._parts[-1].anchors, anchor])

    # --- files

    def _begin(self, near_frame: int) -> WavFile:
        if self._file is not None:
            self._close(self._file)
        epoch = self._reader.epoch()
        assert epoch is not None  # There is a chunk.
        _make_folder(self._folder)
        number = self._parts[-1].number + 1 if self._parts else 1
        name = self._name(number)
        # One that is there was never told of: what it holds is read again.
        (self._folder / name).unlink(missing_ok=True)
        self._file = WavFile(self._folder / name, epoch.samplerate, STEREO)
        delay = self._reader.delay = self._reader.echo_delay()
        self._parts.append(
            Part(
                number=number,
                file=name,
                samplerate=epoch.samplerate,
                delay=delay,
                anchors=[Anchor(file_frame=0, near_frame=near_frame)],
                holes=[],
            )
        )
        self._move()
        return self._file

    def _name(self, number: int) -> str:
        part = f".part{number}" if number > 1 else ""
        # Turns are cut from it; it is nobody's to see, and goes at the end.
        hidden = "." if self.wanted.what == "turns" else ""
        return f"{hidden}{self.wanted.session_id}{part}.wav"

    def _resume(self, part: Part) -> None:
        """Go on with what a predecessor wrote."""
        path = self._folder / part.file
        try:
            self._file = WavFile(path, part.samplerate, STEREO, resume=True)
        except OSError:
            # It is gone, or made FLAC already: what comes now is another part.
            self._reader.position = self._lane.near.write_position
            return
        last = part.anchors[-1]
        if self._file.frames < last.file_frame:
            with contextlib.suppress(OSError):
                self._file.silence(last.file_frame - self._file.frames)
        self._reader.resume(self._next_frame(self._file))
        self._reader.delay = part.delay

    def _move(self, **changed: list[Anchor] | list[Hole]) -> None:
        """Tell control what a successor must know."""
        part = self._parts[-1] = msgspec.structs.replace(self._parts[-1], **changed)
        self._tell(PartMoved(agent=self.wanted.agent, session_id=self.wanted.session_id, part=part))

    def _close(self, file: WavFile) -> None:
        self._file = None
        file.close()

    # --- turns

    def turns_due(self) -> Steps:
        """Cut the turns that are whole; each step of it yields, with a file once it is there."""
        due = [mark for mark in self._marks if self.at_end or self._is_read(mark)]
        for mark in due:
            self._marks.remove(mark)
            try:
                yield from self._cut(mark)
            except OSError as error:
                self._refused(error, 0.0)

    def _is_read(self, mark: MarkTurn) -> bool:
        return self._reader.position >= mark.end_frame + self._reader.delay

    def _cut(self, mark: MarkTurn) -> Steps:
        samples, part, first = self._samples_of(mark)
        if part is None or not samples:
            return
        _make_folder(self._turns_folder)
        zero = self._parts[0].anchors[0].near_frame
        ms = max(0, mark.start_frame - zero) * 1000 // part.samplerate
        path = self._turns_folder / f"{ms:08}_{mark.role}_{mark.id or 'x'}.wav"
        path.unlink(missing_ok=True)
        file = WavFile(path, part.samplerate, MONO)
        try:
            file.append(samples)
        finally:
            file.close()
        path = yield from self._packed(path, part.samplerate, MONO)
        yield FileFinished(
            agent=self.wanted.agent,
            session_id=self.wanted.session_id,
            what="turn",
            file=f"{self._turns_folder.name}/{path.name}",
            seconds=len(samples) / 2 / part.samplerate,
            holes=[],
            near_frame=first,
            id=mark.id,
            start_frame=mark.start_frame,
        )

    def _samples_of(self, mark: MarkTurn) -> tuple[bytes, Part | None, int]:
        """Return the turn's side of the recording, its part and its first near frame.

        A reply is told a little after its first frame and after its last one: what was exactly
        silent around it is left out.
        """
        side = 0 if mark.role == "user" else 1
        part = next((p for p in reversed(self._parts) if _begin_of(p) <= mark.start_frame), None)
        if part is None:
            return b"", None, 0
        early = 0 if side == 0 else part.samplerate
        late = 0 if side == 0 else part.delay
        start = _file_frame(part, mark.start_frame - early)
        stop = _file_frame(part, mark.end_frame + late)
        pairs = array("h", self._read(part, max(0, start), stop - max(0, start)))
        mono = pairs[side::2].tobytes()
        first = mark.start_frame - early + max(0, -start)
        if side == 1:
            ahead = (len(mono) - len(mono.lstrip(b"\0"))) // 2
            kept = mono[2 * ahead :]
            mono = kept[: -(-len(kept.rstrip(b"\0")) // 2) * 2]
            first += ahead
        return mono, part, first

    def _read(self, part: Part, start: int, frames: int) -> bytes:
        if part is self._parts[-1] and self._file is not None:
            return self._file.read(start, frames)
        file = WavFile(self._folder / part.file, part.samplerate, STEREO, resume=True)
        try:
            return file.read(start, frames)
        finally:
            file.abandon()

    @property
    def _turns_folder(self) -> Path:
        return self._folder / f"{self.wanted.session_id}.turns"

    # --- its end

    def finish(self) -> Steps:
        """Close and pack everything; each step of it yields, with a file once it is there."""
        try:
            if self._file is not None:
                self._close(self._file)
        except OSError as error:
            self._refused(error, 0.0)
        yield from self.turns_due()
        if not self._parts and self._reader.epoch() is None:
            self._trouble("empty", _NO_FRAMES)
        for part in self._parts:
            path = self._folder / part.file
            try:
                if self.wanted.what == "turns":
                    path.unlink(missing_ok=True)
                else:
                    yield from self._finished(part, path)
            except OSError as error:
                self._refused(error, 0.0)
        self.finished = True

    def _finished(self, part: Part, path: Path) -> Steps:
        if path.exists():
            file = WavFile(path, part.samplerate, STEREO, resume=True)
            frames = file.frames
            file.abandon()
            path = yield from self._packed(path, part.samplerate, STEREO)
        else:  # A predecessor packed it, and could not tell.
            path = path.with_suffix(".flac")
            frames = flac.frames_of(path)
        if not frames:
            return
        yield FileFinished(
            agent=self.wanted.agent,
            session_id=self.wanted.session_id,
            what="session",
            file=path.name,
            seconds=frames / part.samplerate,
            holes=[
                (hole.file_frame / part.samplerate, hole.frames / part.samplerate)
                for hole in part.holes
            ],
            near_frame=part.anchors[0].near_frame,
            number=part.number,
        )

    def _packed(self, path: Path, samplerate: int, channels: int) -> Generator[None, None, Path]:
        """Make it FLAC where that is wanted and can be done; return the file there is."""
        if self.wanted.format != "flac":
            return path  # noqa: B901 - the generator's result, taken by `yield from`
        if flac.library() is None:
            self._trouble("format", flac.MISSING)
            return path
        try:
            yield from flac.convert(path, samplerate, channels)
        except OSError as error:
            self._refused(error, 0.0)
            return path
        return path.with_suffix(".flac")

    # --- trouble

    def _refused(self, error: OSError, now: float) -> None:
        self._retry_at = now + RETRY_S
        where = self._folder / (error.filename or "")
        self._trouble(
            "disk",
            f"the recording cannot be written in {where.parent if error.filename else where}: "
            f"{error.strerror or error}; the conversation goes on, and recording resumes by "
            "itself when this is mended",
        )

    def _trouble(self, code: str, sentence: str) -> None:
        if code not in self._troubled:
            self._troubled.add(code)
            self._tell(
                RecorderTrouble(
                    agent=self.wanted.agent,
                    session_id=self.wanted.session_id,
                    code=code,
                    sentence=sentence,
                )
            )


def _erase(folder: Path, session_id: str) -> None:
    """Remove every file that a recorder may have made of a session."""
    ours = re.compile(
        rf"\.?{re.escape(session_id)}((\.part\d+)?\.(wav|flac)(\.part)?|(?P<turns>\.turns))"
    )
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            found = ours.fullmatch(path.name)
            if found is None:
                continue
            if found["turns"] and not path.is_symlink():
                for turn in path.iterdir():
                    turn.unlink()
                path.rmdir()
            else:
                path.unlink()


def _make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, for nobody else to look into."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _begin_of(part: Part) -> int:
    return part.anchors[0].near_frame


def _file_frame(part: Part, near_frame: int) -> int:
    """Return the frame of the file at which a near frame is."""
    found = part.anchors[0]
    for anchor in part.anchors:
        if anchor.near_frame <= near_frame:
            found = anchor
    return found.file_frame + near_frame - found.near_frame
