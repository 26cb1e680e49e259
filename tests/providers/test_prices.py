"""Prices are the services' own: reckoned here from the unit prices as their lists give them."""

from __future__ import annotations

import datetime
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.messages.network import Price, ProviderCard
from voiced.messages.prices import EVERY_MODEL, Rates
from voiced.mind.cost import dearest, price_of, pricing_text
from voiced.providers import prices
from voiced.providers.prices import Tokens, cost, price

FILE = Path(prices.__file__).with_name("prices.toml")


@pytest.fixture(autouse=True)
def nothing_of_ones_own():
    prices.overrule({})
    yield
    prices.overrule({})


# --- the data file


def test_every_rate_has_a_source_and_a_date_that_is_past():
    for provider, section in prices.book().items():
        for model, row in section.models.items():
            rates = [name for name in Rates.__struct_fields__ if getattr(row, name) is not None]
            where = f"{provider} {model}"
            if rates:
                assert row.source, where
                assert row.date is not None, where
                assert row.date <= datetime.date(2026, 11, 23), where
            else:
                assert row.alias_of or row.shutdown, f"{where} says nothing"


def test_an_alias_says_nothing_else_and_leads_to_a_row():
    for section in tomllib.loads(FILE.read_text()).values():
        for row in section["models"].values():
            if "alias_of" in row:
                assert set(row) == {"alias_of"}
                assert "alias_of" not in section["models"][row["alias_of"]]


def test_a_model_that_ends_names_one_that_stays():
    for section in prices.book().values():
        for row in section.models.values():
            if row.replacement:
                follower = section.models[row.replacement]
                assert follower.shutdown is None
                assert follower.replacement == ""


# --- a minute


@pytest.mark.parametrize(
    ("provider", "model", "text"),
    [
        # 32 USD for a million tokens, 10 a second: 0.0192 a minute; 64 and 20: 0.0768.
        ("openai_realtime", "gpt-realtime-2.1", "~in 0.019 USD/min out 0.077 USD/min"),
        ("openai_realtime", "gpt-realtime-2.1-mini", "~in 0.006 USD/min out 0.024 USD/min"),
        ("openai_realtime", "gpt-realtime-2025-08-28",
         "~in 0.019 USD/min out 0.077 USD/min; service ends 2027-01-20, use gpt-realtime-2.1"),
        ("gemini_live", "gemini-3.8-live", "~in 0.005 USD/min out 0.018 USD/min"),
        ("gemini_live", "gemini-3.1-flash-live-preview",
         "~in 0.005 USD/min out 0.018 USD/min; service ends 2026-11-17 (unverified), "
         "use gemini-3.8-live"),
        ("xai_grok", "grok-voice-latest",
         "~0.08 USD/min of audio, in or out, 0.004 USD a typed text"),
        ("hume_evi", "whatever its configuration is", "~0.07 USD/min connected (unverified); "
         "service ends 2026-11-13"),
    ],
)  # fmt: skip
def test_the_sentence_reads_as_the_operator_knows_it(provider, model, text):
    found = price(provider, model)
    assert found is not None
    assert found.text == text


def test_the_estimates_are_those_of_the_same_rows():
    openai = price("openai_realtime", "gpt-realtime-2.1")
    gemini = price("gemini_live", "gemini-3.8-live")
    xai = price("xai_grok", "grok-voice-3.0")
    hume = price("hume_evi", "3")
    assert None not in (openai, gemini, xai, hume)
    assert (openai.input_usd_min, openai.output_usd_min) == pytest.approx((0.0192, 0.0768))
    assert (gemini.input_usd_min, gemini.output_usd_min) == pytest.approx((0.0045, 0.018))
    assert (xai.input_usd_min, xai.output_usd_min, xai.wallclock_usd_min) == (0.08, 0.08, 0.0)
    assert (hume.input_usd_min, hume.output_usd_min, hume.wallclock_usd_min) == (0.0, 0.0, 0.07)
    assert not hume.verified


def test_what_is_no_voice_has_no_price_a_minute():
    for model in ("whisper-1", "gpt-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe"):
        assert price("openai_realtime", model) is None
    assert price("xai_grok", "web_search") is None


def test_nobody_knows_what_an_unknown_model_costs():
    assert price("openai_realtime", "gpt-realtime-9") is None
    assert price("nobody", "x") is None
    assert cost("nobody", "x", Tokens(audio_in=1)) is None
    assert cost("xai_grok", "grok-voice-3.0", Tokens(audio_in=1)) is None, "it counts no tokens"


def test_a_model_says_when_it_ends():
    assert prices.ends("openai_realtime", "gpt-realtime-mini-2025-12-15") == "2027-01-20"
    assert prices.ends("openai_realtime", "gpt-realtime-1.5") == ""
    assert prices.ends("hume_evi", "evi-3") == "2026-11-13"


def test_an_unknown_model_counts_as_the_dearest():
    spent = Tokens(text_in=10, audio_in=100, audio_out=100, text_out=50)
    assert cost("openai_realtime", "gpt-realtime-9", spent) == pytest.approx(
        (10 * 4 + 100 * 32 + 100 * 64 + 50 * 24) / 1e6
    )
    names = ["gpt-realtime-2.1-mini", "gpt-realtime-2.1"]
    pricing = {name: found for name in names if (found := price("openai_realtime", name))}
    card = ProviderCard(name="openai_realtime", title="", available=True, pricing=pricing)
    assert price_of(card, "gpt-realtime-9") is None
    assert dearest(card) == pricing["gpt-realtime-2.1"]
    assert "dearest" in pricing_text(card, "gpt-realtime-9")


def test_a_price_for_every_model_is_one_for_each_and_says_that_it_is_unverified():
    found = price("hume_evi", EVERY_MODEL)
    assert found is not None
    card = ProviderCard(name="hume_evi", title="", available=True, pricing={EVERY_MODEL: found})
    assert price_of(card, "of my own") == found
    assert pricing_text(card, "of my own").count("(unverified)") == 1


# --- a response


def test_a_response_of_gemini_as_in_its_reference_frame():
    # 332 of text and 25 unlabelled, 165 of audio; 42 of audio out, 136 of thought.
    spent = Tokens(text_in=357, audio_in=165, audio_out=42, text_out=136)
    assert cost("gemini_live", "gemini-3.8-live", spent) == pytest.approx(0.00187875)


def test_a_response_of_openai_with_cached_tokens_and_an_image():
    spent = Tokens(
        text_in=100, text_cached=1000, audio_in=300, audio_cached=2000, image_in=500,
        image_cached=700, text_out=50, audio_out=400,
    )  # fmt: skip
    usd = (
        100 * 4 + 1000 * 0.4 + 300 * 32 + 2000 * 0.4 + 500 * 5 + 700 * 0.5 + 50 * 24 + 400 * 64
    ) / 1e6
    assert cost("openai_realtime", "gpt-realtime-2.1", spent) == pytest.approx(usd)


COUNTS = st.integers(0, 10**7)


@given(st.builds(Tokens, **dict.fromkeys(Tokens.__struct_fields__, COUNTS)))
def test_the_sum_is_the_sum_of_its_parts(spent):
    row = tomllib.loads(FILE.read_text(), parse_float=Fraction)
    rates = row["openai_realtime"]["models"]["gpt-realtime-2.1-mini"]
    exact = sum(getattr(spent, name) * Fraction(rates[name]) for name in Tokens.__struct_fields__)
    found = cost("openai_realtime", "gpt-realtime-2.1-mini", spent)
    assert found == pytest.approx(float(exact / 10**6), rel=1e-12, abs=1e-15)


def test_a_kind_without_a_rate_is_never_free():
    cached = cost("gemini_live", "gemini-3.8-live", Tokens(audio_cached=1000))
    assert cached == cost("gemini_live", "gemini-3.8-live", Tokens(audio_in=1000)) == 0.003


def test_the_rates_that_are_not_by_the_token():
    assert prices.xai_audio_minute("grok-voice-latest") == 0.08
    assert prices.xai_audio_minute("grok-voice-think-fast-1.0") == 0.05
    assert prices.xai_text_item("grok-voice-3.0") == 0.004
    assert prices.xai_search("web_search") == 0.005
    assert prices.xai_audio_minute("grok-voice-fast-1.0") is None
    assert prices.transcription_minute("openai_realtime", "gpt-transcribe") == 0.0045
    assert prices.transcription_minute("openai_realtime", "gpt-4o-transcribe") is None
    assert prices.gemini_search("gemini-3.8-live") == 0.014
    assert prices.hume_session_minute("4-mini") == 0.07
    assert prices.hume_expression_minute() == 0.0639


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0.0, "0.00"), (0.0045, "0.005"), (0.0445, "0.045"), (0.08, "0.08"), (1.5, "1.50"),
     (0.00021, "0.0002"), (0.000099, "0.0001"), (12.3456, "12.346")],
)  # fmt: skip
def test_an_amount_is_shown_as_price_lists_do(amount, shown):
    assert prices.usd(amount) == shown


@given(st.floats(1e-6, 1e5))
def test_an_amount_is_shown_to_half_a_tenth_of_a_cent_and_never_as_nothing(amount):
    shown = float(prices.usd(amount))
    assert shown > 0
    assert abs(shown - amount) <= 0.0005 + 1e-9


# --- the operator's own


def test_ones_own_price_wins_and_what_it_does_not_name_stays():
    prices.overrule({"openai_realtime": {"gpt-realtime-2.1": Rates(audio_out=6.4)}})
    found = price("openai_realtime", "gpt-realtime-2.1")
    assert found == Price(
        input_usd_min=pytest.approx(0.0192), output_usd_min=pytest.approx(0.00768),
        told_usd_million=4.0, text="~in 0.019 USD/min out 0.008 USD/min",
    )  # fmt: skip
    spent = Tokens(audio_in=1_000_000, audio_out=1_000_000)
    assert cost("openai_realtime", "gpt-realtime-2.1", spent) == pytest.approx(38.4)
    assert price("openai_realtime", "gpt-realtime-2").output_usd_min == pytest.approx(0.0768)
    prices.overrule({})
    assert cost("openai_realtime", "gpt-realtime-2.1", spent) == pytest.approx(96.0)


def test_ones_own_price_reaches_aliases_every_model_and_models_nobody_knows():
    own = {
        "xai_grok": {"grok-voice-3.0": Rates(audio_minute=0.01)},
        "openai_realtime": {
            "*": Rates(text_in=0.0, text_cached=0.0, text_out=0.0),
            "gpt-realtime-9": Rates(audio_in=1.0, audio_out=2.0),
        },
    }
    prices.overrule(own)
    assert prices.xai_audio_minute("grok-voice-latest") == 0.01
    assert prices.xai_text_item("grok-voice-latest") == 0.004
    assert cost("openai_realtime", "gpt-realtime", Tokens(text_in=10, text_out=10)) == 0.0
    assert price("openai_realtime", "gpt-realtime-9").input_usd_min == pytest.approx(0.0006)
    assert "gpt-realtime-9" in prices.models("openai_realtime")


def test_ones_own_price_counts_as_verified():
    prices.overrule({"hume_evi": {"*": Rates(session_minute=0.04)}})
    found = price("hume_evi", "3")
    assert found.verified
    assert found.wallclock_usd_min == 0.04


def test_a_price_of_nobody_is_told_with_the_name_that_was_meant():
    own = {"opanai_realtime": {}, "hume_expression": {}, "mine": {}}
    assert list(prices.unknown(own, ["openai_realtime", "mine"])) == [
        "prices.opanai_realtime: there is no provider of this name. Did you mean openai_realtime?"
    ]
