from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.errors import ConfigError
from voiced.inference import persona
from voiced.inference.persona import Talk
from voiced.messages.inference import Row

HOST = persona.load()


@settings(deadline=None)
@given(st.text(max_size=300))
def test_the_host_answers_anything(said: str) -> None:
    answer = Talk(HOST).answer(said).text
    assert answer.strip()
    assert "{" not in answer


def test_every_reply_of_the_host_is_short_and_spoken() -> None:
    for _, rule in HOST.rules:
        for reply in rule.replies:
            assert len(reply.split()) <= 24, reply
            assert reply[-1] in ".?!", reply
            assert not set(reply) & set("*#_`;:()[]"), reply


def test_the_same_question_is_answered_in_turn_and_always_the_same_way() -> None:
    talks = [Talk(HOST), Talk(HOST)]
    answers = [[talk.answer("who are you?").text for _ in range(3)] for talk in talks]
    assert answers[0] == answers[1]
    assert answers[0][0] != answers[0][1]
    assert answers[0][0] == answers[0][2]


def test_a_name_is_kept() -> None:
    talk = Talk(HOST)
    assert "name yet" in talk.answer("What is my name?").text
    assert "Ada" in talk.answer("Hello! My name is Ada.").text
    assert "Ada" in talk.answer("What is my name?").text
    assert "Ada" in talk.answer("Goodbye").text


def test_a_primed_talk_goes_on_where_it_was() -> None:
    talk, again = Talk(HOST), Talk(HOST)
    said = ["my name is ada", "hello", "hello"]
    rows: list[Row] = []
    for text in said:
        rows.append(Row(role="user", text=text))
        rows.append(Row(role="assistant", text=talk.answer(text).text))
    again.prime((*rows, Row(role="user", text="bye")))
    assert again.answer("bye") == talk.answer("bye")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = ", "is not TOML"),
        ("name = 'x'", "rule"),
        ("name = 'x'\n[[rule]]\nheard = ['(']\nreplies = ['a']", "rule 1: '('"),
        ("name = 'x'\n[[rule]]\nheard = ['']\nreplies = ['{who}']", "{who}"),
        ("name = 'x'\n[[rule]]\nheard = ['a']\nreplies = ['b']", "hear everything"),
        ("name = 'x'\n[[rule]]\nheard = ['']\nreplies = []", "replies"),
        ("name = 'x'\nmood = 'y'\n[[rule]]\nheard = ['']\nreplies = ['b']", "mood"),
        ("name = 'x'\n[[rule]]\nheard = ['']\nreplies = ['{']", "rule 1"),
        ("name = 'x'\n[[rule]]\nheard = ['']\nreplies = ['{0}']", "{0}"),
    ],
)
def test_a_wrong_file_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        persona.parse(text, "mine.toml")
    assert sentence in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_no_such_persona_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="host"):
        persona.load("../host")
    with pytest.raises(ConfigError, match="cannot be read"):
        persona.load(path="/nowhere/mine.toml")


def test_a_call_goes_with_its_reply() -> None:
    assert Talk(HOST).answer("Good night then").call == "end_conversation"


def test_any_line_of_the_host_s_tools_may_be_uncommented_by_itself() -> None:
    text = (Path(persona.__file__).parent / "personas" / "host.toml").read_text(encoding="utf-8")
    for line in (line for line in text.splitlines() if re.match(r"#\w+ = \[", line)):
        changed = persona.parse(text.replace(line, line[1:]), "host.toml")
        assert changed.phrases == HOST.phrases, line
