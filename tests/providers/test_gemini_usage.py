"""Money: every usage object priced by a computation of the tests' own."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.providers import gemini_codec as codec
from voiced.providers import prices, provider_gemini_live
from voiced.providers.gemini_usage import tokens

# USD per million tokens: text in, audio in, image and video in, text and thoughts out, audio out.
THREE = {"TEXT": 0.75, "AUDIO": 3.0, "IMAGE": 1.0, "VIDEO": 1.0, "text_out": 4.5, "audio_out": 12.0}
TWO_FIVE = {
    "TEXT": 0.5,
    "AUDIO": 3.0,
    "IMAGE": 3.0,
    "VIDEO": 3.0,
    "text_out": 2.0,
    "audio_out": 12.0,
}
RATES = {
    "gemini-3.8-live": THREE,
    "gemini-3.8-live-extended-thinking": THREE,
    "gemini-3.1-flash-live-preview": THREE,
    "gemini-2.5-flash-native-audio-preview-12-2025": TWO_FIVE,
}


def bill(usage, rates):
    """Return USD by the service's price list, from the usage object as it stood on the wire."""
    usd = 0.0
    for count, details in (
        ("promptTokenCount", "promptTokensDetails"),
        ("toolUsePromptTokenCount", "toolUsePromptTokensDetails"),
    ):
        labelled = 0
        for each in usage.get(details, []):
            usd += each["tokenCount"] * rates[each["modality"]]
            labelled += each["tokenCount"]
        usd += max(0, usage.get(count, 0) - labelled) * rates["TEXT"]
    labelled = 0
    for each in usage.get("responseTokensDetails", []):
        labelled += each["tokenCount"]
        usd += each["tokenCount"] * rates["text_out" if each["modality"] == "TEXT" else "audio_out"]
    usd += max(0, usage.get("responseTokenCount", 0) - labelled) * rates["audio_out"]
    usd += usage.get("thoughtsTokenCount", 0) * rates["text_out"]
    return usd / 1e6


def priced(usage, model):
    (event,) = codec.decode(json.dumps({"usageMetadata": usage}).encode())
    return prices.cost(provider_gemini_live.NAME, model, tokens(event))


def test_the_frame_of_which_the_price_is_known():
    usage = {
        "promptTokenCount": 522,
        "responseTokenCount": 42,
        "thoughtsTokenCount": 136,
        "totalTokenCount": 564,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 332},
            {"modality": "AUDIO", "tokenCount": 165},
        ],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 42}],
    }
    assert priced(usage, "gemini-3.8-live") == pytest.approx(0.00187875, abs=1e-12)


@pytest.mark.parametrize("model", RATES)
def test_the_recorded_conversation_costs_what_its_usage_says(model):
    path = Path(__file__).parent.parent / "wire/gemini_conversation.jsonl"
    messages = [json.loads(line).get("msg", {}) for line in path.read_text().splitlines()]
    usages = [message["usageMetadata"] for message in messages if "usageMetadata" in message]
    assert len(usages) == 4
    for usage in usages:
        assert priced(usage, model) == pytest.approx(bill(usage, RATES[model]), rel=1e-12)


COUNTS = st.integers(0, 200_000)
DETAILS = st.lists(
    st.builds(
        lambda modality, count: {"modality": modality, "tokenCount": count},
        st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO"]),
        COUNTS,
    ),
    max_size=4,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "promptTokenCount": COUNTS,
            "responseTokenCount": COUNTS,
            "thoughtsTokenCount": COUNTS,
            "toolUsePromptTokenCount": COUNTS,
            "promptTokensDetails": DETAILS,
            "toolUsePromptTokensDetails": DETAILS,
            "responseTokensDetails": DETAILS,
        },
    ),
    st.sampled_from(list(RATES)),
)
def test_any_usage_costs_what_the_list_says(usage, model):
    assert priced(usage, model) == pytest.approx(bill(usage, RATES[model]), rel=1e-9, abs=1e-15)


def test_cached_tokens_are_counted_once_and_told_apart():
    usage = codec.Usage(
        prompt_token_count=1000,
        cached_content_token_count=300,
        prompt_tokens_details=[
            codec.Detail(modality="TEXT", token_count=400),
            codec.Detail(modality="AUDIO", token_count=600),
        ],
        cache_tokens_details=[
            codec.Detail(modality="TEXT", token_count=100),
            codec.Detail(modality="AUDIO", token_count=200),
        ],
    )
    assert tokens(usage) == prices.Tokens(
        text_in=300, text_cached=100, audio_in=400, audio_cached=200
    )
    # The list has no rate for cached ones: they cost what the others cost.
    cost = prices.cost("gemini_live", "gemini-3.8-live", tokens(usage))
    assert cost == pytest.approx((400 * 0.75 + 600 * 3.0) / 1e6)


def test_more_cached_than_there_was_costs_no_more():
    usage = codec.Usage(prompt_token_count=10, cached_content_token_count=50)
    assert tokens(usage) == prices.Tokens(text_cached=10)


@given(st.builds(codec.Usage, prompt_token_count=st.one_of(st.none(), COUNTS)))
def test_no_kind_is_ever_below_nothing(usage):
    assert min(msgspec.structs.astuple(tokens(usage))) >= 0


def test_a_minute_and_a_search():
    price = provider_gemini_live.pricing("models/gemini-3.8-live")
    assert price is not None
    assert price.input_usd_min == pytest.approx(60 * 25 * 3e-6)
    assert price.output_usd_min == pytest.approx(60 * 25 * 12e-6)
    assert provider_gemini_live.pricing("gemini-9") is None
    assert prices.gemini_search("gemini-3.8-live") == pytest.approx(14 / 1000)
