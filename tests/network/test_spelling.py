"""What letters sound like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.network.spelling import FINAL_MS, Sound, Unit, folded, is_latin, last_word, units_of

V, N, S, F, P = Sound.VOWEL, Sound.SONORANT, Sound.SIBILANT, Sound.FRICATIVE, Sound.STOP
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def kinds(word: str) -> list[Sound]:
    """Return the sounds of a word, without the place behind it and what is silent."""
    return [u.sound for u in units_of(word) if u.sound < Sound.JOIN and u.ms > 20]


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("ship", [S, V, P]),
        ("three", [F, N, V]),
        ("late", [N, V, P]),
        ("bottle", [P, V, P, N]),
        ("knew", [N, V]),
        ("city", [S, V, N, V]),
        ("nation", [N, V, S, V, N]),
        ("quick", [P, V, P]),
        ("schön", [S, V, N]),
        ("Straße", [S, P, N, V, S, V]),
        ("où", [V]),
    ],
)
def test_letters_sound(word: str, sounds: list[Sound]):
    found = kinds(word)
    # Whether a last e is silent differs between languages.
    assert found == sounds or found == sounds[:-1]


def test_a_voice_pauses_at_marks_and_may_between_words():
    places = [u.sound for u in units_of("Well, I am “here.” 3.14 o'clock") if u.sound >= Sound.JOIN]
    assert places == [Sound.COMMA, Sound.JOIN, Sound.JOIN, Sound.END, Sound.JOIN, Sound.JOIN]


def test_the_last_vowel_before_a_mark_is_long():
    spoken = [sum(u.ms for u in units_of(text)) for text in ("home", "home.")]
    assert spoken[1] - spoken[0] == FINAL_MS


def test_a_letter_by_its_name_takes_its_time():
    assert sum(u.ms for u in units_of("TV")) > 2 * sum(u.ms for u in units_of("te"))


def test_other_scripts_are_left_alone():
    assert is_latin("Grüß Gott, s'il vous plaît, ¿qué? 1, 2, 3")
    assert is_latin("")
    assert not any(is_latin(text) for text in ("Привет, мир", "こんにちは", "مرحبا", "你好"))


@given(ANY)
def test_the_characters_add_up(text: str):
    units: list[Unit] = list(units_of(text))
    assert sum(unit.chars for unit in units) == len(text) == len(folded(text))
    assert all(unit.chars >= 0 and unit.ms >= 0 for unit in units)


@given(ANY, ANY)
def test_words_that_are_whole_stay_as_they_are(text: str, more: str):
    until = last_word(text)
    assert list(units_of(text[:until])) + list(units_of(text[until:] + more)) == list(
        units_of(text + more)
    )
