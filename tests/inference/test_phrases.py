from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.errors import ConfigError
from voiced.inference import persona
from voiced.inference.intent import Intent, Leave
from voiced.inference.phrases import Phrases, Speaker, speakable
from voiced.messages.inference import Declaration
from voiced.messages.tools import LEFT_OUT

RULE = "\nname = 'x'\n[[rule]]\nheard = ['']\nreplies = ['b']\n[tools]\n"


def phrases(text: str) -> Phrases:
    return persona.Talk(persona.parse(RULE + text, "mine.toml")).phrases


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("done", ""),
        ("OK", ""),
        ('{"ok": true}', ""),
        ("true", ""),
        ("", ""),
        ("The next show is at five", "The next show is at five."),
        ("It is **ten** o'clock.", "It is ten o'clock."),
        ('"It is open."', "It is open."),
        ('{"result": "It is open."}', "It is open."),
        ("42", "42."),
        ('{"a": 1, "b": 2}', ""),
        ("[1, 2]", ""),
        ("https://example.org/page", ""),
        ("the operator denied this call; go on without it", ""),
        ("set_lights did not answer", ""),
        ("the arguments do not fit: $.level must be at most 1", ""),
        ("It is long. " + "word " * 100, "It is long."),
        ("word " * 100, ""),
        ("...", ""),
        (f"(an image of type image/png {LEFT_OUT})", ""),
        (f"Here it is.\n(a sound {LEFT_OUT})", "Here it is."),
        ("It is open (to all).", "It is open (to all)."),
    ],
)
def test_a_result_is_read_aloud_where_it_is_a_sentence(result: str, words: str) -> None:
    assert speakable(result) == words


@given(st.text(max_size=400))
def test_whatever_comes_back_something_short_is_said(result: str) -> None:
    for ok in (True, False):
        said = Speaker(Phrases()).outcome(ok, result)
        assert 0 < len(said) <= 300


def test_the_artist_s_sentences_take_their_turns() -> None:
    speaker = Speaker(phrases("done = ['Fertig.', 'Schon da.']\nchoice = ['{options}?']"))
    assert [speaker.outcome(True, "ok") for _ in range(3)] == ["Fertig.", "Schon da.", "Fertig."]
    assert speaker.say("choice", slot="farbe", options="rot, grün") == "Rot, grün?"
    assert speaker.outcome(False, "the bulb is broken") == "That did not work: the bulb is broken."
    assert speaker.outcome(False, "gone; go on") == "That did not work."


def test_the_artist_s_words_count() -> None:
    lexicon = phrases("negations = ['Nix']\nno = ['lass']").lexicon()
    door = (Declaration(name="door", description="Open the door"),)
    assert isinstance(Intent().hear("Nix open the door.", door, 0.0, lexicon), Leave)
    assert isinstance(Intent().hear("open the door", door, 0.0, lexicon), tuple)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("done = ['{who}']", "the slots of done are none"),
        ("range = ['{slot} {maximun}']", "{maximum}"),
        ("choice = ['{slot.name}']", "choice"),
        ("which = ['{']", "brace"),
        ("done = []", "done"),
        ("dine = ['a']", "dine"),
    ],
)
def test_a_wrong_sentence_is_a_problem_in_words(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        phrases(text)
    assert sentence in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    "result",
    [
        "weather failed: ZeroDivisionError: division by zero",
        "Error executing tool time: ToolException: none",
        "HTTP 404: no show",
    ],
)
def test_a_program_s_words_for_a_failure_are_not_read_to_visitors(result: str) -> None:
    assert Speaker(Phrases()).outcome(False, result) == "That did not work."
    # What a tool answers is its own affair.
    assert Speaker(Phrases()).outcome(True, "The error is mine") == "The error is mine."
