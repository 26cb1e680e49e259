from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.control.osc import pattern as module
from voiced.control.osc.codec import PacketError
from voiced.control.osc.pattern import Pattern, is_pattern

CASES = [
    ("/a/b", "/a/b", True), ("/a/b", "/a/bc", False), ("/a/*", "/a/b", True),
    ("/a/*", "/a/", True), ("/a/*", "/a/b/c", False), ("/*/par/Volume", "/voice/par/Volume", True),
    ("/a?c", "/abc", True), ("/a?c", "/a/c", False), ("/[a-c]x", "/bx", True),
    ("/[a-c]x", "/dx", False), ("/[!a-c]x", "/dx", True), ("/[!a-c]x", "/ax", False),
    ("/[!a]", "//", False), ("/{ab,cd}e", "/cde", True), ("/{ab,cd}e", "/abcde", False),
    ("/{a,}b", "/b", True), ("//Volume", "/a/par/Volume", True), ("//Volume", "/Volume", True),
    ("//Volume", "/aVolume", False), ("/a//c", "/a/c", True), ("/a//c", "/a/b/b/c", True),
    ("/a//c", "/a/bc", False), ("/[a-]", "/-", True), ("/*a*b*", "/xxaxxbxx", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "address", "matches"), CASES)
def test_what_matches_what(text: str, address: str, matches: bool) -> None:
    assert Pattern(text).matches(address) is matches


def test_crossing_goes_over_slashes() -> None:
    assert Pattern("/*/cb/*", crossing=True).matches("/a/cb/x/y")
    assert Pattern("/*", crossing=True).matches("/a/b/c")
    assert not Pattern("/*/cb/*", crossing=True).matches("/a/cbx/y")


@given(
    st.lists(st.sampled_from(["*", "?", "[ab]", "[!a]", "{ab,b}", "a", "b", "/"]), max_size=10),
    st.text("ab/", max_size=12),
    st.booleans(),
)
def test_it_is_what_a_regular_expression_would_say(
    tokens: list[str], address: str, crossing: bool
) -> None:
    one = "." if crossing else "[^/]"
    means = {"*": f"{one}*", "?": one, "[ab]": "[ab]", "[!a]": "[^a]" if crossing else "[^a/]",
             "{ab,b}": "(?:ab|b)"}  # fmt: skip
    text = "".join(tokens)
    if "//" in text:
        return  # has a meaning of its own
    regular = re.compile("".join(means.get(token, token) for token in tokens))
    expected = regular.fullmatch(address) is not None
    assert Pattern(text, crossing=crossing).matches(address) is expected


@pytest.mark.parametrize("text", ["/[a", "/{a,b", "/[", "/" + "a" * 256, "/ä" * 100])
def test_broken_and_long_patterns_are_refused(text: str) -> None:
    with pytest.raises(PacketError):
        Pattern(text)


@pytest.mark.parametrize("token", ["*a", "?*", "{a,aa}*", "[a]*", "*"])
def test_work_grows_with_the_address_and_not_beyond(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are counted, not timed: at most one for each position and character."""
    steps = 0

    def counting(test: module._Test) -> module._Test:
        def counted(character: str) -> bool:
            nonlocal steps
            steps += 1
            return test(character)

        return counted

    text = token * (127 // len(token)) + "b"
    matcher = Pattern(text, crossing=True)
    matcher._tests = [counting(test) for test in matcher._tests]
    positions = len(matcher._tests)
    counts = []
    for length in (500, 5_000):
        steps = 0
        assert not matcher.matches("a" * length)
        counts.append(steps)
        assert steps <= positions * length
    assert positions <= 4 * len(text)
    assert counts[1] <= 11 * counts[0]


def test_ten_thousand_characters_are_matched_at_once() -> None:
    """A backtracking matcher would take longer than the test machine lasts."""
    assert not Pattern("*a" * 40 + "b", crossing=True).matches("a" * 10_000)


def test_which_addresses_are_patterns() -> None:
    assert not is_pattern("/voice_agent/par/Volume")
    assert all(is_pattern(a) for a in ("/*", "/a?", "/[a]", "/{a}", "//a"))
