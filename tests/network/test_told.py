"""What a provider tells, as the messages that control gets."""

from __future__ import annotations

from typing import Any, cast

import pytest

from voiced.lane.seam import Clock
from voiced.messages.network import SpeechEnded
from voiced.network.told import Told
from voiced.network.upload import SampleMap


class Loudspeaker:
    """Takes what begins, and the end of the turn that it answers."""

    def __init__(self) -> None:
        self.answers: list[int] = []

    def started(self, leg: int, response: str, user_end_frame: int) -> None:
        self.answers.append(user_end_frame)


@pytest.mark.parametrize(("sample", "frame", "answers"), [(100, 300, 300), (None, 4800, -1)])
def test_a_turn_that_ended_nobody_knows_when_has_no_latency(sample, frame, answers):
    """Its end is told where the microphone stands; the reply does not count from there."""
    samples, loudspeaker, messages = SampleMap(16_000), Loudspeaker(), []
    samples.anchor(0, 0, 48_000)
    more: dict[str, Any] = {"loudspeaker": loudspeaker, "tell": messages.append}
    told = Told(
        agent="a",
        leg=1,
        clock=Clock(1.0),
        samples=samples,
        sent=lambda: 1600,
        rate_out=24_000,
        margin_ms=0,
        push_to_talk=False,
        end=messages.append,
        **more,
    )
    told.speech_ended(sample)
    told.response_started("r1")
    assert messages[0] == SpeechEnded(agent="a", leg=1, frame=frame)
    assert loudspeaker.answers == [answers]


def test_a_reply_tells_which_typed_turns_it_answers() -> None:
    messages: list[Any] = []
    told = Told(
        agent="a",
        leg=1,
        tell=messages.append,
        loudspeaker=cast(Any, Loudspeaker()),
        clock=Clock(1.0),
        samples=SampleMap(16_000),
        sent=lambda: 0,
        rate_out=24_000,
        margin_ms=0,
        push_to_talk=False,
        end=messages.append,
    )
    told.texts = 3
    told.response_started("r1", waiting=2)
    told.response_started("r2")
    assert [message.texts for message in messages] == [1, 3]
