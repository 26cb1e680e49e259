"""What a conversation costs, computed a second time from the service's accounts alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.providers import provider_xai_grok as provider
from voiced.providers import xai_page

from .xai_hand import Scene, request

MINUTE = {"grok-voice-think-fast-1.0": 0.05}
"""Of the models that do not cost 0.08."""
TEXT = 0.004


def account(seconds: object) -> dict[str, Any]:
    """Return the usage of a reply as xAI gives it."""
    return {
        "input_tokens": 210, "input_token_details": {"text_tokens": 210, "grok_tokens": 0},
        "output_tokens": 31, "output_token_details": {"audio_tokens": 31, "grok_tokens": 0},
        "total_tokens": 241, "output_audio_seconds": 0.4, "billable_audio_seconds": seconds,
    }  # fmt: skip


def booked(scene: Scene) -> float:
    return sum(call[2] for call in scene.recorder.named("usage"))


@given(
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["completed", "cancelled", "failed"])),
             max_size=8),
    st.lists(st.sampled_from(["text", "note", "say"]), max_size=4),
    st.sampled_from(xai_page.MODELS),
)  # fmt: skip
def test_every_account_is_a_running_total(totals, texts, model: str) -> None:
    scene = Scene(Model=model)
    for number, (total, status) in enumerate(totals):
        scene.begins(f"r{number}")
        scene.done(f"r{number}", status, usage=account(total))
    items = 0
    for text in texts:
        getattr(scene.talk, text)("Hello.")
        for event in scene.bench.sent():
            items += event.__struct_config__.tag == "conversation.item.create"
    highest = max((total for total, _ in totals), default=0)
    usd = highest * MINUTE.get(model, 0.08) / 60 + items * TEXT
    assert booked(scene) == pytest.approx(usd, rel=1e-9, abs=1e-12)
    # The words of typed texts stand beside what is spoken.
    beside = [call for call in scene.recorder.named("usage") if call[-1] is True]
    assert len(beside) == items


def test_an_account_that_does_not_grow_still_settles_the_estimate() -> None:
    scene = Scene()
    for number, total in enumerate([3, 3, 2]):
        scene.begins(f"r{number}")
        scene.done(f"r{number}", usage=account(total))
    assert [call[2] for call in scene.recorder.named("usage")] == [pytest.approx(0.004), 0, 0]


def test_an_account_in_openais_place_counts_too() -> None:
    scene = Scene()
    scene.begins("r1")
    scene.done("r1", within=account(30))
    assert booked(scene) == pytest.approx(0.04)


@pytest.mark.parametrize(
    "usage", [{}, None, "unimplemented", account(None), account(-3), account(1e300), account("3"),
              {"input_tokens": 3}],
)  # fmt: skip
def test_without_an_account_the_estimate_stands(usage: object) -> None:
    scene = Scene()
    scene.begins("r1")
    scene.done("r1", usage=usage)
    assert scene.recorder.named("usage") == []
    assert scene.recorder.ended == {"r1": "completed"}


def test_a_model_that_is_not_listed_costs_what_the_dearest_does() -> None:
    scene = Scene(Model="grok-voice-99")
    scene.begins("r1")
    scene.done("r1", usage=account(60))
    assert booked(scene) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("totals", "seconds"),
    [
        ([33, 40], 10),
        # It counts anew with every connection.
        ([3, 10], 10),
        ([30], 0),
    ],
)
def test_a_resumed_conversation_is_not_paid_for_twice(totals: list[int], seconds: int) -> None:
    scene = Scene(request({"resumption": "native"}, handle='["conv_1",30.0]'))
    for number, total in enumerate(totals):
        scene.begins(f"r{number}")
        scene.done(f"r{number}", usage=account(total))
    assert booked(scene) == pytest.approx(seconds * 0.08 / 60)
    assert provider.get_persistable_state(scene.live).startswith('["conv_1",')
