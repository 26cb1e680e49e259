"""Speech to text: Whisper through CTranslate2, with an encoder context as short as the turn.

Whisper's encoder is trained on 30 s; CTranslate2 takes less, and with 15 s the result is as good
and three times as fast. Below 12 s of context it starts to repeat itself.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from voiced.inference import mel, models

Sound = NDArray[np.int16]
"""Mono, 16 kHz."""

_CONTEXT_S: Final = 15.0
_LONGEST_S: Final = 30.0
_TAIL_S: Final = 1.0
_REST_S: Final = 1.0
"""What is left of the sound behind the last word and not worth another pass, seconds."""
_STEP_S: Final = 0.5
"""The least progress of a pass."""
_MOST_PASSES: Final = 6
_LEAD: Final = mel.RATE // 5
"""Silence put before the sound: a word that starts at the very first sample is misread."""
_THREADS: Final = 2
_NO_SPEECH: Final = 0.6
_SCORE: Final = -1.0
_SHORT_SCORE: Final = -1.4
"""Of one to three words that were surely speech: "Red." and "Yes." score -1.1 when read rightly."""
_SHORT_WORDS: Final = 3
_SURE_MS: Final = 250
_ANNOTATION: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|[♪♫]+")
_LOOP: Final = re.compile(r"(.{2,60}?)\1{3,}", re.DOTALL)
_PHANTOMS: Final = frozenset(
    ("you", "thank you", "thanks", "thank you very much", "thanks for watching", "bye", "bye bye")
    + ("thank you for watching", "okay", "so", "oh", "the", "i", "i'm", "hmm", "mm", "uh", "um")
)
"""What Whisper makes of noise (its training data were subtitles)."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What one stretch of sound was read as."""

    text: str
    no_speech: float
    """Whisper's own probability that there was no speech, 0 to 1."""
    score: float
    """Mean log probability of the tokens."""


SILENT = 32768 * 10 ** (-55 / 20)
"""RMS in int16 steps below which a stretch of a recording holds no speech."""


class Recogniser:
    """Whisper, loaded once for all conversations; one call at a time.

    Raises:
        EngineUnavailable: the model or its package is missing.
    """

    def __init__(self) -> None:
        place = models.verified(models.RECOGNISER)
        import ctranslate2
        import tokenizers

        self._storage: Any = ctranslate2.StorageView
        self._model: Any = ctranslate2.models.Whisper(
            str(place),
            device="cpu",
            compute_type="int8",
            intra_threads=min(_THREADS, os.cpu_count() or 1),
        )
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(place / "tokenizer.json"))
        before = self._tokenizer.token_to_id("<|notimestamps|>")
        if before is None:
            raise models.EngineUnavailable(
                f"the tokenizer of {place} knows no timestamps: it is not Whisper's"
            )
        self._first_mark = int(before) + 1

    def read(self, pcm: Sound, language: str = "") -> list[Heard]:
        """Return what `pcm` (mono, 16 kHz) says; what lies beyond 29 s of it is not read.

        Whisper likes to stop after a sentence. Its timestamps tell where, and the rest is read too:
        without them whole sentences are lost, and others said twice.
        """
        heard: list[Heard] = []
        start = 0
        while not heard or (len(pcm) - start > _REST_S * mel.RATE and len(heard) < _MOST_PASSES):
            one, end_s = self._pass(pcm[start:], language)
            heard.append(one)
            if end_s is None or end_s < _STEP_S:
                break
            start += int(end_s * mel.RATE)
        return heard

    def _pass(self, pcm: Sound, language: str) -> tuple[Heard, float | None]:
        """Read once; return the words and the second at which they end, None for all of it."""
        seconds = (len(pcm) + _LEAD) / mel.RATE
        frames = int(min(max(_CONTEXT_S, seconds + _TAIL_S), _LONGEST_S) * mel.RATE) // mel.HOP
        sound = np.concatenate([np.zeros(_LEAD, np.int16), pcm])
        features = mel.spectrogram(sound, frames - frames % 2, int(self._model.n_mels))
        result = self._model.generate(
            self._storage.from_array(features[None]),
            [self._prompt(language)],
            beam_size=1,
            # Nobody speaks more than eight tokens a second; a loop on noise ends here.
            max_length=32 + int(8 * seconds),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens: list[int] = result.sequences_ids[0]
        text, last = split(tokens, self._first_mark)
        heard = Heard(
            text=self._tokenizer.decode(text).strip(),
            no_speech=float(result.no_speech_prob),
            score=float(result.scores[0]),
        )
        return heard, None if last is None else last - _LEAD / mel.RATE

    def _prompt(self, language: str) -> list[str]:
        if not self._model.is_multilingual:
            return ["<|startoftranscript|>"]
        spoken = language.split("-")[0].lower() or "en"
        return ["<|startoftranscript|>", f"<|{spoken}|>", "<|transcribe|>"]


def split(tokens: list[int], first_mark: int) -> tuple[list[int], float | None]:
    """Return the tokens of the words, and the second at which the last closed segment ends.

    A segment is <start> words <end>, a mark counts 20 ms. Words after the last mark are open: they
    go to the end of the sound, and so does everything where there is no segment; None then.
    """
    text = [token for token in tokens if token < first_mark]
    marks = [(n, (t - first_mark) * 0.02) for n, t in enumerate(tokens) if t >= first_mark]
    if len(marks) < 2 or tokens[-1] < first_mark:
        return text, None
    return text, marks[-1][1]


def words(heard: list[Heard], strong_ms: int) -> str:
    """Return the words of what was heard; "" where it was noise.

    Args:
        heard: the recogniser's reading.
        strong_ms: how long speech was beyond doubt to the detector, ms.
    """
    return " ".join(text for one in heard if (text := _words(one, strong_ms)))


def _words(heard: Heard, strong_ms: int) -> str:
    text = re.sub(r"\s+", " ", _ANNOTATION.sub(" ", heard.text)).strip()
    spoken = re.sub(r"[^\w\s']", "", text).strip().lower()
    sure = strong_ms >= _SURE_MS and heard.no_speech < _NO_SPEECH / 2
    short = sure and len(spoken.split()) <= _SHORT_WORDS
    if heard.no_speech > _NO_SPEECH or heard.score < (_SHORT_SCORE if short else _SCORE):
        return ""
    if not spoken or _LOOP.search(spoken + " "):
        return ""
    if spoken in _PHANTOMS and (strong_ms < 160 or heard.no_speech > 0.3):
        return ""
    return text


_shared_lock: Final = threading.Lock()
_shared: list[Recogniser] = []


def shared() -> Recogniser:
    """Return this process's recogniser, loaded at the first call (about a second).

    Raises:
        EngineUnavailable: the model or its package is missing.
    """
    with _shared_lock:  # two threads asking at once must not load it twice
        if not _shared:
            _shared.append(Recogniser())
        return _shared[0]


def transcribe(pcm: NDArray[np.int16]) -> str:
    """Return the words in a recording (mono, 16 kHz, any length), as the local voice hears them.

    It is read a stretch of speech at a time, as the turns of a conversation are: over seconds of
    silence within one reading Whisper says sentences twice. Longer stretches than its 30 s are cut
    at their quietest places.
    """
    engine = shared()
    return " ".join(
        text
        for first, last in stretches(pcm)
        for start, end in quiet_cuts(pcm[first:last])
        if (text := words(engine.read(pcm[first + start : first + end]), strong_ms=1_000))
    )


def stretches(
    pcm: NDArray[np.int16], silence_s: float = 1.0, margin_s: float = 0.3
) -> list[tuple[int, int]]:
    """Return where `pcm` sounds, the stretches set apart by at least `silence_s` below -55 dBFS."""
    block = mel.RATE // 20
    blocks = np.pad(pcm, (0, -len(pcm) % block)).astype(np.float32).reshape(-1, block)
    sounding = np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) > SILENT)
    if not len(sounding):
        return []
    apart = np.flatnonzero(np.diff(sounding) * block >= silence_s * mel.RATE)
    starts = [sounding[0], *sounding[apart + 1]]
    ends = [*sounding[apart], sounding[-1]]
    margin = int(margin_s * mel.RATE)
    return [
        (max(0, int(a) * block - margin), min(len(pcm), (int(b) + 1) * block + margin))
        for a, b in zip(starts, ends, strict=True)
    ]


def quiet_cuts(
    pcm: NDArray[np.int16], longest_s: float = 20.0, search_s: float = 8.0
) -> list[tuple[int, int]]:
    """Return stretches that cover `pcm`, each at most `longest_s`, cut where it is quietest."""
    block = mel.RATE // 20
    cuts: list[tuple[int, int]] = []
    start = 0
    while len(pcm) - start > longest_s * mel.RATE:
        end = start + int(longest_s * mel.RATE)
        window = pcm[end - int(search_s * mel.RATE) : end].astype(np.float32)
        blocks = window[: len(window) // block * block].reshape(-1, block)
        power = np.convolve(np.mean(blocks**2, axis=1), np.ones(3), mode="same")
        power[[0, -1]] = np.inf
        quietest = int(np.argmin(power))
        cut = end - len(window) + quietest * block + block // 2
        cuts.append((start, cut))
        start = cut
    cuts.append((start, len(pcm)))
    return cuts
