"""Captions: what is on show is what was heard, a word from its first sound on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voiced.mind.captions import LEAST_NS, WIDTH, Captions, begun_until, line_of
from voiced.mind.effects import Caption
from voiced.mind.turns import Turn

TEXT = "Good evening. Shall we turn the lights down?"
texts = st.lists(st.text("abc,.'", min_size=1, max_size=12), max_size=60).map(" ".join)


def turn(text: str = TEXT, heard: int = 0, cut: int | None = None, role: str = "assistant") -> Turn:
    return Turn(role=role, leg=1, item="i", text=text, sounded_chars=heard, heard_chars=cut)


def told(effects: list) -> list[tuple[str, str]]:
    assert all(isinstance(effect, Caption) for effect in effects)
    return [(effect.who, effect.line) for effect in effects]


def test_a_word_is_on_show_from_its_first_sound_on():
    captions = Captions()
    assert told(captions.heard(turn(heard=0), 0)) == []
    assert told(captions.heard(turn(heard=1), 0)) == [("assistant", "Good"), ("word", "Good")]
    assert told(captions.heard(turn(heard=4), 0)) == []
    assert told(captions.heard(turn(heard=5), 0)) == [], "the space before a word is not the word"
    assert told(captions.heard(turn(heard=6), 0)) == [
        ("assistant", "Good evening."), ("word", "evening."),
    ]  # fmt: skip


def test_a_reply_that_is_cut_leaves_the_show():
    captions = Captions()
    captions.heard(turn(heard=6), 0)
    assert told(captions.heard(turn(heard=9, cut=9), 0)) == [("assistant", "")]
    assert told(captions.ended([turn(heard=9, cut=9)], 0)) == []


def test_words_that_came_after_their_sound_are_told_at_the_end():
    captions = Captions()
    captions.heard(turn("Good", heard=4), 0)
    last = told(captions.ended([turn("Good evening.", heard=4)], 0))
    assert last == [("assistant", "Good evening."), ("word", "evening."), ("assistant", "")]


def test_a_visitors_line_goes_when_the_answer_sounds():
    captions = Captions()
    assert told(captions.user(turn("Who is", role="user"), 0)) == [("user", "Who is")]
    assert told(captions.sounds()) == [("user", "")]
    assert told(captions.sounds()) == []


def test_a_visitors_lines_come_fifteen_times_a_second_and_the_last_one_always():
    captions = Captions()
    captions.user(turn("Who", role="user"), 0)
    assert told(captions.user(turn("Who is", role="user"), LEAST_NS // 2)) == []
    final = turn("Who is there", role="user")
    final.final = True
    assert told(captions.user(final, LEAST_NS // 2)) == [("user", "Who is there")]


def test_the_end_of_a_session_clears_the_show():
    captions = Captions()
    captions.user(turn("Who", role="user"), 0)
    captions.heard(turn(heard=6), 0)
    assert told(captions.clear()) == [("user", ""), ("assistant", "")]
    assert told(captions.clear()) == []


@given(texts, st.lists(st.integers(0, 800), max_size=40))
def test_every_word_that_sounded_is_told_once_and_none_before_it_began(text: str, steps: list[int]):
    captions, words = Captions(), []
    for chars in sorted(steps):
        effects = captions.heard(turn(text, heard=min(chars, len(text))), 0)
        words += [effect.line for effect in effects if effect.who == "word"]
        heard = text[: min(chars, len(text))].split()
        assert len(words) == len(heard)
        assert all(whole.startswith(part) for whole, part in zip(words, heard, strict=True))
    assert words == text.split()[: len(words)]


@given(texts, st.integers(0, 800))
def test_a_word_is_never_broken(text: str, chars: int):
    until = begun_until(text, chars)
    assert until >= min(chars, len(text))
    assert text[:until].split() == text.split()[: len(text[:until].split())]


@given(texts)
def test_a_line_keeps_its_beginning_while_text_is_added(text: str):
    words, before = text.split(), ""
    for n in range(1, len(words) + 1):
        line = line_of(" ".join(words[:n]))
        assert len(line) <= max(WIDTH, len(words[n - 1]))
        assert line.startswith(before) or line == words[n - 1]
        before = line
