"""A key is hidden in every form in which a text may show it, and nothing else is."""

from __future__ import annotations

import io
import json
import string
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import planted
from voiced.messages.network import LegTrouble, NetworkTrouble, UserText
from voiced.messages.secrets import HIDDEN, SHORTEST, Redacted, Secrets

SIGNS = string.ascii_letters + string.digits + string.punctuation
KEYS = st.text(SIGNS, min_size=SHORTEST, max_size=60)
FORMS = (
    str,
    repr,
    json.dumps,
    quote,
    quote_plus,
    lambda key: quote(key, safe=""),
    lambda key: urlencode({"key": key}),
    lambda key: repr({"X-Key": key}),
    lambda key: f"https://example/{key}?{key}",
)


@given(KEYS, st.sampled_from(FORMS), st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_a_key_is_left(key, form, before, after) -> None:
    secrets = Secrets()
    secrets.add(key)
    shown = secrets.hide(before + form(key) + after)
    assert HIDDEN in shown
    # What is left may hold the key only where hiding made it up again from its surroundings.
    assert key not in secrets.hide(form(key)).replace(HIDDEN, "\n")


@given(st.lists(KEYS, max_size=4), st.text(st.characters(codec="utf-8"), max_size=80))
def test_a_text_without_a_key_is_as_it_was(keys, text) -> None:
    secrets = Secrets()
    for key in keys:
        secrets.add(key)
    if not any(key in text for key in keys):
        assert secrets.hide(text) == text


def test_a_key_that_holds_another_leaves_nothing_of_it() -> None:
    secrets = Secrets()
    secrets.add("abcdefgh")
    secrets.add("abcdefgh-and-more")
    assert secrets.hide("abcdefgh-and-more abcdefgh") == f"{HIDDEN} {HIDDEN}"


def test_an_old_key_stays_hidden_and_a_short_word_is_none() -> None:
    secrets = Secrets()
    for key in ("the-first-key", "the-second-key", "", "the"):
        secrets.add(key)
    assert secrets.hide("the-first-key and the rest") == f"{HIDDEN} and the rest"


def test_sentences_and_codes_are_looked_through_and_words_of_visitors_are_not_changed() -> None:
    secrets = Secrets()
    secrets.add("planted-key-123")
    trouble = LegTrouble(agent="a", leg=1, code="planted-key-123", sentence="x planted-key-123 y")
    told = secrets.hide_in(trouble)
    assert (told.code, told.sentence) == (HIDDEN, f"x {HIDDEN} y")
    clean = NetworkTrouble(source="s", code="c", sentence="nothing")
    assert secrets.hide_in(clean) is clean
    said = UserText(agent="a", leg=1, item="i", text="planted-key-123")
    assert secrets.hide_in(said) is said


@pytest.mark.parametrize("key", planted.VENDORS.values())
def test_a_stranger_that_looks_like_a_vendors_key_is_hidden(key: str) -> None:
    shown = Secrets().hide(f"GET /v1?key={key}&x=1 {{'Authorization': 'Bearer {key}'}}")
    assert (planted.found_in(shown) == []) == (key != planted.HUME), "that one is like any word"
    assert "x=1" in shown


@pytest.mark.parametrize(
    "text",
    [
        "! task-0123456789012345678901234567 is over",
        "disk-usage-of-the-whole-installation 12 %",
        "AIzaSy is how Google's begin, sk-proj- OpenAI's, xai- xAI's",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert Secrets().hide(text) == text


def test_a_stream_writes_everything_but_the_key() -> None:
    secrets, under = Secrets(), io.StringIO()
    stream = Redacted(under, secrets)
    secrets.add("planted-key-123")
    print("before", "planted-key-123", "after", file=stream, flush=True)
    assert under.getvalue() == f"before {HIDDEN} after\n"
