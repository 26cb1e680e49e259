"""What a script wants is judged as any door's wish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from voiced.control.wishes import Wishes
from voiced.messages.scripts import PressPulse, SetParameter, Utter
from voiced.mind.inputs import NoteText, Origin, Press, SayText, Write
from voiced.parameters import ROWS, Refusal, Row, Value

ORIGIN = Origin(kind="script", id="voice_agent")
RATES = {"connect": 2, "sendtext": 60, "say": 1, "note": 60}


class Surface:
    """The rows, and one root."""

    def agents(self) -> Sequence[str]:
        return ("voice_agent",)

    def row(self, agent: str, page: str, name: str) -> Row | None:
        return ROWS.get(name)

    def value(self, agent: str, page: str, name: str) -> Value:
        return ROWS[name].default

    def options(self, agent: str, page: str, name: str) -> Sequence[str]:
        return ROWS[name].options

    def allowed_path(self, row: Row, path: str) -> str | Refusal:
        return path if path.startswith("/show/") else Refusal("denied", "not inside storage.roots")


@pytest.fixture
def wishes() -> Wishes:
    return Wishes("voice_agent", Surface(), ORIGIN, RATES.__getitem__)


def sets(wishes: Wishes, name: str, value: Any) -> Any:
    judged = wishes.judge(SetParameter(name=name, value=value))
    if isinstance(judged, Refusal):
        return judged.code
    assert all(isinstance(item, Write) and item.origin == ORIGIN for item in judged)
    return [(item.name, item.value) for item in judged if isinstance(item, Write)]


def test_values_are_coerced_by_their_rows(wishes: Wishes) -> None:
    assert sets(wishes, "Volume", 0.4) == [("Volume", 0.4)]
    assert sets(wishes, "Volume", 7) == [("Volume", 1.0)]
    assert sets(wishes, "Talk", 1) == [("Talk", True)]
    assert sets(wishes, "Sessionmode", "one_turn") == [("Sessionmode", "one_turn")]
    assert sets(wishes, "Profilesfolder", "/show/profiles") == [
        ("Profilesfolder", "/show/profiles")
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Nothing", 1, "unknown_address"),
        ("Sessionstate", "active", "read_only"),
        ("Callbackdat", "/show/other.py", "read_only"),
        ("Costbudget", 1e6, "out_of_range"),
        ("Volume", float("nan"), "bad_value"),
        ("Sessionmode", "sideways", "bad_value"),
        ("Profilesfolder", "/etc", "denied"),
    ],
)
def test_what_no_door_takes_is_refused(wishes: Wishes, name: str, value: Any, code: str) -> None:
    assert sets(wishes, name, value) == code


def test_pulses_and_words(wishes: Wishes) -> None:
    assert wishes.judge(PressPulse(name="Stop", text="left out")) == [
        Press(name="Stop", origin=ORIGIN)
    ]
    assert wishes.judge(PressPulse(name="Sendtext", text="hello")) == [
        Press(name="Sendtext", origin=ORIGIN, text="hello")
    ]
    assert wishes.judge(Utter(text="hello", aloud=True)) == [SayText(text="hello", origin=ORIGIN)]
    assert wishes.judge(Utter(text="rain", aloud=False)) == [NoteText(text="rain", origin=ORIGIN)]
    assert isinstance(wishes.judge(PressPulse(name="Volume")), Refusal)


def test_a_loop_of_connects_is_held_to_the_rate_of_a_minute(wishes: Wishes) -> None:
    connect = PressPulse(name="Connect")
    assert isinstance(wishes.judge(connect), list)
    assert isinstance(wishes.judge(PressPulse(name="Restart")), list)
    refused = wishes.judge(connect)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.sentence) == ("rate", "2 a minute are taken, see osc.rates")
    assert isinstance(wishes.judge(Utter(text="a", aloud=True)), list)
    assert isinstance(wishes.judge(Utter(text="b", aloud=True)), Refusal)
