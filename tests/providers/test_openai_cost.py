"""What a reply costs, computed a second time from its account alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.providers import openai_page
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.realtime_dialect import server

from .openai_hand import Recorder, request

USD = {
    "2.1": {"text": (4, 0.4), "audio": (32, 0.4), "image": (5, 0.5), "out": (24, 64)},
    "1.5": {"text": (4, 0.4), "audio": (32, 0.4), "image": (5, 0.5), "out": (16, 64)},
    "mini": {"text": (0.6, 0.06), "audio": (10, 0.3), "image": (0.8, 0.08), "out": (2.4, 20)},
}
"""A million tokens: in and cached by kind; out as text and as audio."""


def rates(model: str) -> dict[str, tuple[float, float]]:
    if "mini" in model:
        return USD["mini"]
    return USD["2.1"] if model in ("gpt-realtime-2.1", "gpt-realtime-2") else USD["1.5"]


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    count = st.integers(0, 200_000)
    into = {kind: draw(count) for kind in ("text", "audio", "image")}
    cached = {kind: draw(st.integers(0, held)) for kind, held in into.items()}
    out_audio, out_text, thoughts = draw(count), draw(count), draw(count)
    return {
        "input_tokens": sum(into.values()),
        "output_tokens": out_audio + out_text + thoughts,
        "total_tokens": sum(into.values()) + out_audio + out_text + thoughts,
        "input_token_details": {
            **{f"{kind}_tokens": held for kind, held in into.items()},
            "cached_tokens": sum(cached.values()),
            "cached_tokens_details": {f"{kind}_tokens": held for kind, held in cached.items()},
        },
        "output_token_details": {
            "audio_tokens": out_audio, "text_tokens": out_text, "reasoning_tokens": thoughts,
        },
    }  # fmt: skip


def billed(model: str, usage: Any, status: str = "completed") -> float | None:
    live = provider.Live(request({"Model": model}), Recorder())
    event = {"type": "response.done", "response": {"id": "r", "status": status, "usage": usage}}
    done = server.decode(msgspec.json.encode(event))
    assert isinstance(done, server.ResponseDone)
    bill = provider.bill(live.conversation, done)
    return None if bill is None else bill.usd


@given(
    accounts(),
    st.sampled_from(openai_page.MODELS),
    st.sampled_from(["completed", "cancelled", "incomplete"]),
)
def test_every_account_is_billed_by_the_list(account, model: str, status: str) -> None:
    rate = rates(model)
    usd = 0.0
    details = account["input_token_details"]
    for kind in ("text", "audio", "image"):
        held = details["cached_tokens_details"][f"{kind}_tokens"]
        usd += (details[f"{kind}_tokens"] - held) / 1e6 * rate[kind][0]
        usd += held / 1e6 * rate[kind][1]
    audio = account["output_token_details"]["audio_tokens"]
    usd += audio / 1e6 * rate["out"][1]
    usd += (account["output_tokens"] - audio) / 1e6 * rate["out"][0]
    assert billed(model, account, status) == pytest.approx(usd, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("account", [None, {}, "unimplemented", [1], {"input_tokens": "many"}])
def test_no_account_is_no_bill(account: object) -> None:
    assert billed("gpt-realtime-2.1", account) is None


def test_a_model_that_is_not_listed_is_not_billed_as_free() -> None:
    # As the dearest: 4 USD for a million tokens of text in, 24 out.
    account = {"input_tokens": 1000, "output_tokens": 10}
    assert billed("gpt-realtime-9", account) == pytest.approx((1000 * 4 + 10 * 24) / 1e6)


def test_an_account_without_details_counts_as_text() -> None:
    account = {"input_tokens": 1000, "output_tokens": 100}
    assert billed("gpt-realtime-2.1", account) == pytest.approx(1000 * 4e-6 + 100 * 24e-6)


def test_cached_tokens_without_kinds_are_text_first() -> None:
    details = {"text_tokens": 100, "audio_tokens": 50, "cached_tokens": 120}
    account = {"input_token_details": details, "output_tokens": 0}
    assert billed("gpt-realtime-2.1", account) == pytest.approx(120 * 0.4e-6 + 30 * 32e-6)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("gpt-transcribe", {"type": "duration", "seconds": 30.0}, 0.00225),
        ("gpt-live-transcribe", {"type": "duration", "seconds": 30.0}, 0.0085),
        ("whisper-1", {"type": "duration", "seconds": 30.0}, 0.003),
        (
            "gpt-4o-mini-transcribe",
            {"type": "tokens", "input_tokens": 300, "output_tokens": 40, "total_tokens": 340,
             "input_token_details": {"audio_tokens": 300, "text_tokens": 0}},
            300 * 1.25e-6 + 40 * 5e-6,
        ),
        # Tokens where only minutes are listed: ten of them are a second.
        (
            "gpt-transcribe",
            {"type": "tokens", "input_tokens": 300, "output_tokens": 40,
             "input_token_details": {"audio_tokens": 300}},
            0.00225,
        ),
        ("gpt-transcribe", None, None),
        ("off", {"type": "duration", "seconds": 30.0}, None),
        ("a-new-one", {"type": "duration", "seconds": 30.0}, None),
    ],
)  # fmt: skip
def test_transcription_is_billed_apart(model: str, usage: Any, usd: float | None) -> None:
    recorder = Recorder()
    live = provider.Live(request({"transcription_model": model}), recorder)
    event = {
        "type": "conversation.item.input_audio_transcription.completed", "item_id": "u1",
        "transcript": "Hello.", "usage": usage,
    }  # fmt: skip
    live.conversation.take(msgspec.json.encode(event))
    told = recorder.named("usage")
    if usd is None:
        assert told == []
    else:
        assert told[0][2] == pytest.approx(usd)
