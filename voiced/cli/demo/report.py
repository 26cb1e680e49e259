"""What came of a visit: the scene for the picture, the transcript, and the figures.

Everything is measured on the card's own recording, where frame n is near frame n. Messages are
placed on it by the frames that `/voiced/audio/started` names: the message that arrived soonest
after its frame sets the clock, and what remains is the jitter of the way, a millisecond or two.
"""

from __future__ import annotations

import statistics
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from voiced.cli.demo.house import CONVERSATION
from voiced.cli.demo.timeline import Interruption, Reply, Scene, Turn, draw
from voiced.cli.demo.visit import JOURNAL, Visit, Visitor
from voiced.cli.demo.words import WordErrors, word_errors
from voiced.mind import journal
from voiced.mind.effects import Row

LOUD: Final = 32768 * 10 ** (-60 / 20)
"""-60 dBFS: what is below counts as silence."""
_PICTURE: Final = "conversation.png"
_TRANSCRIPT: Final = "transcript.txt"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One visitor, and the reply to what was said."""

    visitor: Visitor
    started_s: float
    """Where the recording begins."""
    first_s: float
    """Its first sound."""
    last_s: float
    """Its last sound."""
    heard: str
    """What was understood."""
    answer: str
    cut: bool
    """The next visitor interrupted the answer."""
    reply: tuple[float, float] | None
    """First and last sound of the answer."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole visit, measured."""

    samplerate: int
    visitor: NDArray[np.int16]
    voice: NDArray[np.int16]
    exchanges: Sequence[Exchange]
    greeting: Turn | None
    gate: Sequence[tuple[float, float]]
    speech: Sequence[tuple[float, float]]
    interruptions: Sequence[Interruption]

    @property
    def latencies_s(self) -> list[float]:
        """From a visitor's last sound to the first sound of the reply."""
        return [one.reply[0] - one.last_s for one in self.exchanges if one.reply]

    @property
    def errors(self) -> list[WordErrors]:
        """Of each visitor whose words are known."""
        return [
            word_errors(one.visitor.transcript, one.heard)
            for one in self.exchanges
            if one.visitor.transcript
        ]


def write(visit: Visit, out: Path) -> Outcome:
    """Write transcript and picture into `out`, print the figures, return them all."""
    print("\nmeasuring the recording and drawing the picture ...", flush=True)
    outcome = measured(visit, out)
    lines = list(_figures(outcome))
    turns = _turns(outcome)
    (out / _TRANSCRIPT).write_text(
        "".join(f"{turn.start_s:7.2f}  {turn.who:9}{turn.words}\n" for turn in turns),
        encoding="utf-8",
    )
    draw(
        Scene(
            samplerate=outcome.samplerate,
            visitor=outcome.visitor,
            voice=outcome.voice,
            turns=turns,
            gate=outcome.gate,
            speech=outcome.speech,
            replies=[
                Reply(from_s=one.last_s, to_s=one.reply[0])
                for one in outcome.exchanges
                if one.reply
            ],
            interruptions=outcome.interruptions,
            title="A conversation with voiced",
            figures="   ·   ".join(_summary(outcome)),
        ),
        out / _PICTURE,
    )
    print()
    for line in lines:
        print(line)
    print(f"\n{out}: {CONVERSATION}, {_PICTURE}, {_TRANSCRIPT}, trace.json, {JOURNAL}")
    return outcome


def measured(visit: Visit, out: Path) -> Outcome:
    """Return what was heard and played, found in the recording and the journal."""
    samplerate, visitor, voice = _sound(out / CONVERSATION)
    started = [e for e in visit.events if e.address == "/voiced/audio/started"]
    starts = [int(str(e.args[2])) / samplerate for e in started]
    zero = min(e.at - at for e, at in zip(started, starts, strict=True))
    rows = _rows(out / JOURNAL, zero)
    exchanges: list[Exchange] = []
    ends = [int(str(e.args[2])) / samplerate for e in visit.events
            if e.address == "/voiced/audio/ended"]  # fmt: skip
    edges = [*starts[1:], len(visitor) / samplerate]
    lasts = [
        _sounding(visitor, samplerate, start, end) or (start, end)
        for start, end in zip(starts, ends, strict=True)
    ]
    for number, one in enumerate(visit.visitors[: len(ends)]):
        after = lasts[number + 1][1] if number + 1 < len(lasts) else edges[-1]
        spoken = [row for at, row in rows if starts[number] <= at < edges[number]]
        answer = [row for row in spoken if row.role == "assistant"]
        exchanges.append(
            Exchange(
                visitor=one,
                started_s=starts[number],
                first_s=lasts[number][0],
                last_s=lasts[number][1],
                heard=" ".join(row.message.strip() for row in spoken if row.role == "user"),
                answer=" ".join(row.message.strip() for row in answer),
                cut=any('"interrupted":true' in row.metadata.replace(" ", "") for row in answer),
                reply=_sounding(voice, samplerate, lasts[number][1], after),
            )
        )
    speech = list(_between(visit, "cb/onUserSpeechStarted", "cb/onUserSpeechEnded", zero))
    return Outcome(
        samplerate=samplerate,
        visitor=visitor,
        voice=voice,
        exchanges=exchanges,
        greeting=_greeting(rows, voice, samplerate, starts),
        gate=list(_gate(visit, zero, len(visitor) / samplerate)),
        speech=speech,
        interruptions=[
            Interruption(at_s=at, silent_s=before.reply[1])
            for before in exchanges
            if before.cut and before.reply
            for at, _ in speech
            if before.reply[0] < at <= before.reply[1] + 0.05
        ],
    )


# Where things are in the recording.


def _sound(path: Path) -> tuple[int, NDArray[np.int16], NDArray[np.int16]]:
    with wave.open(str(path), "rb") as source:
        pair = np.frombuffer(source.readframes(source.getnframes()), "<i2").reshape(-1, 2)
        return source.getframerate(), pair[:, 0], pair[:, 1]


def _sounding(
    samples: NDArray[np.int16], samplerate: int, start_s: float, end_s: float
) -> tuple[float, float] | None:
    """Return the first and behind the last sound within a stretch, s; None if it is silent."""
    first = int(start_s * samplerate)
    loud = np.flatnonzero(np.abs(samples[first : int(end_s * samplerate)].astype(int)) > LOUD)
    if not len(loud):
        return None
    return (first + int(loud[0])) / samplerate, (first + int(loud[-1]) + 1) / samplerate


def _rows(path: Path, zero: float) -> list[tuple[float, Row]]:
    """Return the journal's rows as they ended, each with the second when it was first written."""
    first: dict[str, float] = {}
    last: dict[str, Row] = {}
    for text in path.read_bytes().splitlines():
        try:
            line = journal.decode(text)
        except msgspec.DecodeError:
            continue
        if isinstance(line, journal.RowLine) and line.row.type == "text":
            first.setdefault(line.row.id, line.mono_ns / 1e9 - zero)
            last[line.row.id] = line.row
        elif isinstance(line, journal.RowGone):
            last.pop(line.id, None)
    return [(first[name], row) for name, row in last.items()]


def _greeting(
    rows: Sequence[tuple[float, Row]],
    voice: NDArray[np.int16],
    samplerate: int,
    starts: Sequence[float],
) -> Turn | None:
    words = [row.message for at, row in rows if row.role == "assistant" and at < starts[0]]
    span = _sounding(voice, samplerate, 0.0, starts[0])
    if not words or span is None:
        return None
    return Turn(who="voice", start_s=span[0], end_s=span[1], words=" ".join(words).strip())


def _between(visit: Visit, start: str, end: str, zero: float) -> Iterator[tuple[float, float]]:
    since: float | None = None
    for event in visit.events:
        if event.address == start:
            since = event.at - zero
        elif event.address == end and since is not None:
            yield since, event.at - zero
            since = None


def _gate(visit: Visit, zero: float, end: float) -> Iterator[tuple[float, float]]:
    since: float | None = None
    for event in visit.events:
        if event.address == "sig/mic_open":
            if event.args[0] and since is None:
                since = event.at - zero
            elif not event.args[0] and since is not None:
                yield since, event.at - zero
                since = None
    if since is not None:
        yield since, end


# What is told of it.


def _turns(outcome: Outcome) -> list[Turn]:
    turns = [outcome.greeting] if outcome.greeting else []
    for one in outcome.exchanges:
        turns.append(
            Turn(who="visitor", start_s=one.first_s, end_s=one.last_s, words=one.heard or "-")
        )
        if one.reply:
            turns.append(
                Turn(
                    who="voice",
                    start_s=one.reply[0],
                    end_s=one.reply[1],
                    words=one.answer,
                    cut=one.cut,
                )
            )
    return sorted(turns, key=lambda turn: turn.start_s)


def _summary(outcome: Outcome) -> Iterator[str]:
    yield f"{len(outcome.exchanges)} visitors"
    if outcome.errors:
        total = sum(outcome.errors, WordErrors(0, 0))
        yield f"word error rate {100 * total.rate:.1f} % of {total.words} words"
    if outcome.latencies_s:
        median = statistics.median(outcome.latencies_s)
        yield f"reply {median:.2f} s after the visitor's last sound (median)"
    for cut in outcome.interruptions:
        yield f"silent {1000 * max(0.0, cut.silent_s - cut.at_s):.0f} ms after the interruption"


def _figures(outcome: Outcome) -> Iterator[str]:
    for one in outcome.exchanges:
        name = one.visitor.path.stem
        if one.visitor.transcript:
            errors = word_errors(one.visitor.transcript, one.heard)
            yield (
                f"{name:14}word error rate {100 * errors.rate:5.1f} %  "
                f"({errors.errors} of {errors.words} words)"
            )
        else:
            yield f"{name:14}{one.heard}"
    yield from _summary(outcome)
