"""What the services charge: one dated data file (prices.toml), the operator's own prices over it.

Nothing else in voiced knows a price. A provider asks `price` for the minute's estimate that the
Pricing readout shows and budgets are held against, and `cost` or one of the named rates for what a
response really cost. A model that the list does not have is never free: it has no `price` to show,
and counts as the provider's dearest, here and in the mind. The rates are read anew with every call,
so that `overrule` holds at once.
"""

from __future__ import annotations

import datetime
import functools
import tomllib
from collections.abc import Collection, Iterable
from decimal import ROUND_HALF_UP, Decimal
from importlib import resources

import msgspec

from voiced.messages.network import Price
from voiced.messages.prices import EVERY_MODEL, PriceList, Rates, laid_over
from voiced.parameters import nearest

PER_MILLION = 1e-6


class Listed(Rates, frozen=True, kw_only=True):
    """A row of the data file: rates, and where they were read."""

    source: str = ""
    date: datetime.date | None = None
    """When they were read."""
    verified: bool = True
    """Read on the service's own page, or agreeing with it."""
    shutdown: datetime.date | None = None
    """From this day on the service refuses the model."""
    shutdown_verified: bool = True
    replacement: str = ""
    """The model that the service names in its place."""
    alias_of: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's part of the data file."""

    models: dict[str, Listed]
    user_audio_tokens_per_second: float = 0.0
    """How a service that counts tokens counts the user's audio."""
    reply_audio_tokens_per_second: float = 0.0


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What one response took, in tokens; `_in` are the ones that were not cached."""

    text_in: int = 0
    text_cached: int = 0
    text_out: int = 0
    """Text and thoughts."""
    audio_in: int = 0
    audio_cached: int = 0
    audio_out: int = 0
    image_in: int = 0
    image_cached: int = 0


@functools.cache
def book() -> dict[str, Section]:
    """Return the data file, as it was packaged."""
    text = resources.files(__package__).joinpath("prices.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Section])


_own: PriceList = {}


def overrule(own: PriceList) -> None:
    """Let the operator's own prices win from now on; they replace those given before."""
    _own.clear()
    _own.update(own)


def overruled(provider: str, model: str) -> bool:
    """Tell whether the operator's own prices have something for a model."""
    return _above(provider, model) is not None


def unknown(own: PriceList, providers: Collection[str]) -> Iterable[str]:
    """Yield a sentence for each provider of the operator's prices that does not exist."""
    known = [*providers, *(name for name in book() if name not in providers)]
    for name in own:
        if name not in known:
            yield f"prices.{name}: there is no provider of this name.{nearest(name, known)}"


def models(provider: str) -> list[str]:
    """Return the models of a provider that have a row, those of the configuration included.

    EVERY_MODEL is among them where it has one.
    """
    section = book().get(provider)
    return list(dict.fromkeys([*(section.models if section else ()), *_own.get(provider, ())]))


def listed(provider: str, model: str) -> Listed | None:
    """Return the row of a model, the operator's own rates laid over it; None = there is none.

    Rates that the configuration names are the operator's word and count as verified.
    """
    section = book().get(provider)
    row = _row(section, model) if section else None
    above = _above(provider, model)
    if above is None:
        return row
    over = laid_over(row or Listed(), above)
    assert isinstance(over, Listed)
    return msgspec.structs.replace(over, source="configuration", date=None, verified=True)


def _above(provider: str, model: str) -> Rates | None:
    own = _own.get(provider)
    if own is None:
        return None
    section = book().get(provider)
    canonical = _canonical(section, model) if section else model
    return own.get(model) or own.get(canonical) or own.get(EVERY_MODEL)


def _canonical(section: Section, model: str) -> str:
    row = section.models.get(model)
    return row.alias_of or model if row else model


def _row(section: Section, model: str) -> Listed | None:
    return section.models.get(_canonical(section, model)) or section.models.get(EVERY_MODEL)


def price(provider: str, model: str) -> Price | None:
    """Return what a minute of a voice costs and the sentence that says so; None = nobody knows.

    A minute in is a minute of the user's speech, a minute out one of the reply's. What is re-sent
    with every response of a long conversation is not in it: it is a ballpark, `cost` is the bill.
    """
    row = listed(provider, model)
    if row is None:
        return None
    by_token = row.audio_in is not None and row.audio_out is not None
    if not by_token and row.audio_minute is None and row.session_minute is None:
        return None
    user_tokens, reply_tokens = audio_tokens_per_second(provider)
    heard = _minute(row.audio_in, user_tokens)
    spoken = _minute(row.audio_out, reply_tokens)
    audio = row.audio_minute or 0.0
    return Price(
        input_usd_min=heard + audio,
        output_usd_min=spoken + audio,
        wallclock_usd_min=row.session_minute or 0.0,
        told_usd_million=(row.text_in or 0.0) if by_token else 0.0,
        text=_sentence(row, heard, spoken),
        verified=row.verified,
    )


def _minute(per_million: float | None, tokens_per_second: float) -> float:
    return (per_million or 0.0) * PER_MILLION * tokens_per_second * 60


def _sentence(row: Listed, heard: float, spoken: float) -> str:
    parts = []
    if row.audio_in is not None and row.audio_out is not None:
        parts.append(f"~in {usd(heard)} USD/min out {usd(spoken)} USD/min")
    if row.audio_minute is not None:
        parts.append(f"~{usd(row.audio_minute)} USD/min of audio, in or out")
    if row.session_minute is not None:
        parts.append(f"~{usd(row.session_minute)} USD/min connected")
    if row.text_item is not None:
        parts.append(f"{usd(row.text_item)} USD a typed text")
    text = ", ".join(parts) + ("" if row.verified else " (unverified)")
    return f"{text}; {ending}" if (ending := shutdown_text(row)) else text


def shutdown_text(row: Listed) -> str:
    """Return when a model ends and what follows it, "" if no end is known."""
    if row.shutdown is None:
        return ""
    instead = f", use {row.replacement}" if row.replacement else ""
    doubt = "" if row.shutdown_verified else " (unverified)"
    return f"service ends {row.shutdown.isoformat()}{doubt}{instead}"


def ends(provider: str, model: str) -> str:
    """Return the day from which a model is refused, as 2027-01-20; "" if none is known."""
    row = listed(provider, model)
    return row.shutdown.isoformat() if row is not None and row.shutdown is not None else ""


def usd(amount: float) -> str:
    """Return an amount to a tenth of a cent, halves rounded up; smaller ones to their first digit.

    Rounded as the price lists do it: 0.0045 is 0.005, 0.08 stays 0.08.
    """
    exact = Decimal(repr(round(amount, 9)))
    shown = str(exact.quantize(Decimal("0.001"), ROUND_HALF_UP))
    if float(shown) or not exact:
        return shown.removesuffix("0")
    return f"{Decimal(f'{exact:.0e}'):f}"


def cost(provider: str, model: str, tokens: Tokens) -> float | None:
    """Return what a response cost, USD; None = the model has no rates by the token.

    Tokens of a kind that the list has no rate for count as the dearest kind of the same direction:
    a cached one as one that was not. A model that the list does not have costs what the provider's
    dearest would, so that a typing error is no way around a budget.
    """
    row = listed(provider, model)
    if row is not None:
        return _cost(row, tokens)
    rows = (listed(provider, each) for each in models(provider))
    costs = (_cost(each, tokens) for each in rows if each is not None)
    return max((usd for usd in costs if usd is not None), default=None)


def _cost(row: Listed, tokens: Tokens) -> float | None:
    inputs = [rate for rate in (row.text_in, row.audio_in, row.image_in) if rate is not None]
    outputs = [rate for rate in (row.text_out, row.audio_out) if rate is not None]
    if not inputs or not outputs:
        return None
    text_in = _first(row.text_in, max(inputs))
    audio_in = _first(row.audio_in, max(inputs))
    image_in = _first(row.image_in, max(inputs))
    total = (
        tokens.text_in * text_in
        + tokens.text_cached * _first(row.text_cached, text_in)
        + tokens.audio_in * audio_in
        + tokens.audio_cached * _first(row.audio_cached, audio_in)
        + tokens.image_in * image_in
        + tokens.image_cached * _first(row.image_cached, image_in)
        + tokens.text_out * _first(row.text_out, max(outputs))
        + tokens.audio_out * _first(row.audio_out, max(outputs))
    )
    return total * PER_MILLION


def _first(rate: float | None, otherwise: float) -> float:
    return otherwise if rate is None else rate


def audio_tokens_per_second(provider: str) -> tuple[float, float]:
    """Return how many tokens a second of the user's and of the reply's audio counts as."""
    section = book().get(provider)
    if section is None:
        return 0.0, 0.0
    return section.user_audio_tokens_per_second, section.reply_audio_tokens_per_second


def _rate(provider: str, model: str, name: str) -> float | None:
    row = listed(provider, model)
    rate: float | None = getattr(row, name) if row is not None else None
    return rate


def xai_audio_minute(model: str) -> float | None:
    """Return USD for a minute of audio that xAI was sent or has sent."""
    return _rate("xai_grok", model, "audio_minute")


def xai_text_item(model: str) -> float | None:
    """Return USD for one item of a typed conversation: not for function outputs, not for audio."""
    return _rate("xai_grok", model, "text_item")


def xai_search(tool: str) -> float | None:
    """Return USD for a call of a built-in tool: "web_search" (also x_search), "file_search"."""
    return _rate("xai_grok", tool, "search")


def transcription_minute(provider: str, model: str) -> float | None:
    """Return USD for a minute of speech that a separate model writes down."""
    return _rate(provider, model, "transcription_minute")


def gemini_search(model: str) -> float | None:
    """Return USD for one web search; the free ones of each month are not known here."""
    return _rate("gemini_live", model, "search")


def hume_session_minute(model: str) -> float | None:
    """Return USD for a minute of an open EVI connection, the dearer end of the range."""
    return _rate("hume_evi", model, "session_minute")


def hume_expression_minute() -> float | None:
    """Return USD for a minute of speech that Expression Measurement measures."""
    return _rate("hume_expression", EVERY_MODEL, "measurement_minute")
