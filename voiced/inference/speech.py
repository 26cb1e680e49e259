"""Text to speech: the packaged hibari voice, the program espeak-ng, or a Piper voice by path."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voiced.inference import models
from voiced.messages.inference import OUTPUT_RATE, Engine

ESPEAK: Final = "espeak-ng"
_ESPEAK_TIMEOUT_S: Final = 10.0
_FIRST_CLAUSE: Final = re.compile(r"(.{12,}?[.!?…,;:])(\s+)", re.DOTALL)
_SENTENCE: Final = re.compile(
    r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bSt\.)(?<!\bMrs\.)(?<=[.!?…])[\"”’)]*\s+"
)
_LONG_CLAUSE: Final = 160


class Voice(Protocol):
    """What can speak; one call at a time."""

    def speak(self, text: str, speed: float) -> NDArray[np.int16]:
        """Return `text` spoken, mono, 24 kHz; empty where there is nothing to say."""


class Hibari:
    """The packaged voice: American English, 24 kHz."""

    def __init__(self) -> None:
        place = models.verified(models.VOICE)
        from hibari import Hibari as Engine_

        own = str(place) if place.is_file() else None
        self._engine: Any = Engine_(model=own, threads=1)
        self._engine.sess = _session(self._engine.model_path)
        self.speak("Ready.", 1.0)  # the first call loads the lexicon, a third of a second

    def speak(self, text: str, speed: float) -> NDArray[np.int16]:
        """Return `text` spoken; the same text always gives the same samples."""
        return _int16(self._engine(text, speed=speed, seed=0))


def _session(model: str) -> Any:
    """Return a session that keeps nothing of a sentence once it is spoken.

    onnxruntime's arena and its memory plans, one for each length of input, grow for as long as new
    lengths come: 100 MB in fifteen hundred sentences. Without them it is as fast.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Espeak:
    """The program espeak-ng: robotic, in many languages."""

    def __init__(self, name: str = "") -> None:
        program = shutil.which(ESPEAK)
        if program is None:
            raise models.EngineUnavailable(
                f"the program {ESPEAK} is not installed: apt install {ESPEAK}, or {models.INSTALL} "
                "for the packaged voice"
            )
        self._arguments = [program, "--stdin", "--stdout", "-v", name or "en-us"]

    def speak(self, text: str, speed: float) -> NDArray[np.int16]:
        """Return `text` spoken."""
        if not text.strip():
            return np.zeros(0, np.int16)
        spoken = _run([*self._arguments, "-s", str(int(165 * speed))], text)
        # The length fields of a wave header written to a pipe are unknown: the rest is samples.
        with wave.open(io.BytesIO(spoken)) as file:
            rate = file.getframerate()
        sound = np.frombuffer(spoken[44 : 44 + (len(spoken) - 44) // 2 * 2], "<i2")
        return _int16(_resampled(sound.astype(np.float32) / 32_768.0, rate))


class Piper:
    """A Piper voice (VITS in ONNX) by path, its .onnx.json beside it; phonemes by espeak-ng."""

    def __init__(self, path: Path) -> None:
        program = shutil.which(ESPEAK)
        if program is None:
            raise models.EngineUnavailable(
                f"the voice {path.name} needs the program {ESPEAK} for its phonemes: "
                f"apt install {ESPEAK}"
            )
        self._espeak = program
        try:
            settings = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            self._ids: dict[str, list[int]] = settings["phoneme_id_map"]
            self._language: str = settings["espeak"]["voice"]
            self._rate = int(settings["audio"]["sample_rate"])
            scales = settings.get("inference", {})
            self._noise = float(scales.get("noise_scale", 0.667))
            self._length = float(scales.get("length_scale", 1.0))
            self._noise_w = float(scales.get("noise_w", 0.8))
        except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
            raise models.EngineUnavailable(
                f"{path} cannot be used as a Piper voice ({error}): it needs the .onnx, its "
                f".onnx.json beside it, and {models.INSTALL}"
            ) from error

    def speak(self, text: str, speed: float) -> NDArray[np.int16]:
        """Return `text` spoken."""
        command = [self._espeak, "--stdin", "-q", "--ipa", "-v", self._language]
        phonemes = _run(command, text).decode()
        ids = list(self._ids["^"])
        for phoneme in " ".join(phonemes.split()):
            if phoneme in self._ids:
                ids += [*self._ids["_"], *self._ids[phoneme]]
        ids += [*self._ids["_"], *self._ids["$"]]
        if len(ids) <= 4:
            return np.zeros(0, np.int16)
        sound = self._session.run(
            None,
            {
                "input": np.asarray([ids], np.int64),
                "input_lengths": np.asarray([len(ids)], np.int64),
                "scales": np.asarray(
                    [self._noise, self._length / speed, self._noise_w], np.float32
                ),
            },
        )[0]
        return _int16(_resampled(np.asarray(sound, np.float32).reshape(-1), self._rate))


def load(voice: str) -> Voice:
    """Return the voice of this name, loaded; "" is the packaged one, or espeak-ng without it.

    Raises:
        EngineUnavailable: it cannot be had; the sentence says what to do.
    """
    name = voice.strip()
    if name in {"", "heart"}:
        try:
            return Hibari()
        except models.EngineUnavailable:
            if name == "heart" or shutil.which(ESPEAK) is None:
                raise
            return Espeak()
    if name.partition(":")[0] in {"espeak", ESPEAK}:
        return Espeak(name.partition(":")[2])
    if name.endswith(".onnx"):
        return Piper(Path(name).expanduser())
    raise models.EngineUnavailable(
        f"there is no local voice {name!r}: use heart, espeak, espeak:<language> or the path of a "
        "Piper voice that ends in .onnx"
    )


def available() -> Engine:
    """Return the fallback voice's entry in `Ready`."""
    missing = shutil.which(ESPEAK) is None
    return Engine(
        kind="speech",
        name=ESPEAK,
        available=not missing,
        sentence=f"{ESPEAK} (the fallback voice) is missing: apt install {ESPEAK}"
        if missing
        else "",
    )


_shared_lock: Final = threading.Lock()
_shared: dict[str, Voice] = {}


def shared(voice: str = "") -> Voice:
    """Return this process's voice of that name, loaded at the first call.

    Raises:
        EngineUnavailable: it cannot be had.
    """
    with _shared_lock:  # two threads asking at once must not load it twice
        if voice not in _shared:
            _shared[voice] = load(voice)
        return _shared[voice]


def synthesise(text: str, voice: str = "", speed: float = 1.0) -> NDArray[np.int16]:
    """Return `text` spoken in full, mono, 24 kHz."""
    return shared(voice).speak(text, speed)


class Clauses:
    """Cuts a growing text into pieces to speak: the first as early as may be, then sentences.

    The pieces, put together, are the text that was fed, to the character.
    """

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, delta: str) -> Iterator[str]:
        """Yield the pieces that `delta` completed."""
        self._text += delta
        while cut := self._cut():
            piece, self._text = self._text[:cut], self._text[cut:]
            self._first = False
            yield piece

    def flush(self) -> Iterator[str]:
        """Yield what is left, at the end of the text."""
        piece, self._text = self._text, ""
        if piece:
            yield piece

    def _cut(self) -> int:
        if sentence := _SENTENCE.search(self._text):
            return sentence.end()
        if self._first or len(self._text) > _LONG_CLAUSE:
            clause = _FIRST_CLAUSE.match(self._text)
            return clause.end() if clause else 0
        return 0


def _run(command: list[str], text: str) -> bytes:
    """Return what espeak-ng writes when it reads `text`."""
    try:
        return subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            timeout=_ESPEAK_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise models.EngineUnavailable(
            f"{ESPEAK} did not speak ({type(error).__name__}): try `{' '.join(command)}`"
        ) from error


def _resampled(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == OUTPUT_RATE:
        return sound
    import soxr

    return np.asarray(soxr.resample(sound, rate, OUTPUT_RATE), np.float32)


def _int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    return (np.clip(sound, -1.0, 1.0) * 32_767.0).astype(np.int16)
