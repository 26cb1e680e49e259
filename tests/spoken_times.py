"""Where each word sounds that the packaged voice speaks: by the voice's own durations.

The voice decides first how long every sound of a sentence lasts, then makes the sound; the
durations are read from within its network. A recogniser's word times (by the cross-attention of the
packaged Whisper) are no measure for a tenth of a second: where a word follows a pause, so that
anybody can see where it begins, these here lie within 45 ms of the first loud sample, those up to
280 ms behind it; of 584 words a tenth differ by more than 100 ms, one by more than a second.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiced.inference import speech
from voiced.inference.speech import Clauses
from voiced.messages.inference import OUTPUT_RATE

DURATIONS = "/Clip_output_0"
"""In the packaged voice's network: frames of each of its phonemes."""
FRAME = 600
"""Samples of one of them."""
SPREAD_S = 0.045
"""A sound begins so long before its first frame: the network looks at its neighbours."""
SILENT = set(';:,.!?—…"“”()')


class Spoken(NamedTuple):
    """A piece of text, its sound (24 kHz) and (begin, end) of its words, s."""

    text: str
    sound: NDArray[np.int16]
    words: list[tuple[float, float]]


def pieces(text: str) -> list[Spoken]:
    """Return what the packaged voice makes of `text`, spoken clause by clause as it comes."""
    clauses = Clauses()
    return [_spoken(clause) for clause in [*clauses.feed(text), *clauses.flush()]]


@cache
def _spoken(clause: str) -> Spoken:
    voice: Any = speech.shared("")
    engine = voice._engine
    times: list[list[float]] = []
    at = 0
    for phonemes in engine.phonemize(clause):
        known = [sign for sign in phonemes if sign in engine.vocab]
        frames = _frames(engine, engine.ids(phonemes))
        until, word = at + int(frames[0]), -1
        for sign, length in zip(known, frames[1:], strict=False):
            begin, until = until, until + int(length)
            if sign == " ":
                word = -1
            elif sign not in SILENT:
                if word < 0:
                    word = len(times)
                    times.append([begin, until])
                times[word][1] = until
        at += int(frames.sum())
    assert len(times) == len(clause.split()), "a word here is a word there"
    sound = voice.speak(clause, 1.0)
    assert abs(at * FRAME - len(sound)) <= FRAME
    seconds = [tuple(frame * FRAME / OUTPUT_RATE - SPREAD_S for frame in pair) for pair in times]
    return Spoken(clause, sound, [(max(0.0, begin), end) for begin, end in seconds])


@cache
def _session(path: str) -> Any:
    """Return the voice's network with its durations as one more output.

    Two messages of one type behind each other are one of both (Protocol Buffers, "Last One Wins"):
    field 7 of a model is its graph, field 12 of a graph an output, field 1 of that its name.
    """
    import onnxruntime

    name = DURATIONS.encode()
    output = b"\x0a" + bytes([len(name)]) + name
    graph = b"\x62" + bytes([len(output)]) + output
    with open(path, "rb") as file:
        model = file.read() + b"\x3a" + bytes([len(graph)]) + graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _frames(engine: Any, ids: list[int]) -> NDArray[np.float32]:
    asked = {"ids": np.asarray([ids], np.int64), "speed": np.ones(1, np.float32)}
    (found,) = _session(str(engine.model_path)).run([DURATIONS], asked)
    return np.asarray(found, np.float32).reshape(-1)
