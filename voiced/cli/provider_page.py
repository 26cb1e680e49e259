"""The generated parts of docs/providers.md: what modules and price list say of each service.

A part stands between `<!-- facts NAME -->` (or `parameters`, `prices`) and `<!-- end -->`; `told
FILE` is what the contract says of the sample `FILE` on the same page. The rest is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import ModuleType

from voiced.messages.network import ProviderCard, ProviderParameter
from voiced.messages.prices import EVERY_MODEL, Rates
from voiced.providers import prices
from voiced.providers.contract import check

_PART = re.compile(r"(<!-- (facts|parameters|prices|told) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SAMPLE = re.compile(r"<!-- sample (\S+) -->\n```python\n(.*?)```\n<!-- end -->", re.DOTALL)
_UNITS = {
    "audio_minute": "a minute of audio",
    "text_item": "a typed text",
    "session_minute": "a minute connected",
    "transcription_minute": "a minute written down",
    "measurement_minute": "a minute measured",
    "search": "a search",
}
"""Every rate that is not by the million tokens."""


def filled(page: str, cards: Mapping[str, ProviderCard]) -> str:
    """Return a page with every part written anew; a provider that there is not leaves it empty."""
    writers: dict[str, Callable[[str], str]] = {
        "facts": lambda name: facts(cards[name]) if name in cards else "",
        "parameters": lambda name: parameters(cards[name]) if name in cards else "",
        "prices": price_list,
        "told": lambda name: told(samples(page)[name], name),
    }
    return _PART.sub(lambda part: f"{part[1]}{writers[part[2]](part[3])}{part[4]}", page)


def samples(page: str) -> dict[str, str]:
    """Return the source of each sample on a page, by its file's name."""
    return dict(_SAMPLE.findall(page))


def told(source: str, name: str) -> str:
    """Return everything that is wrong with a sample, as a list."""
    module = ModuleType(name)
    exec(source, module.__dict__)
    return "".join(f"- {sentence}\n" for sentence in check(module))


def _paid_by(card: ProviderCard) -> str:
    """Return what is counted: tokens, the time connected, or the audio alone; "" = it is free."""
    if not card.key_server and not card.pricing_url:
        return ""
    rows = (prices.listed(card.name, model) for model in card.models)
    if any(row is not None and row.audio_minute is not None for row in rows):
        return "the minute of audio"
    return {"token": "the token", "wallclock": "the minute"}[card.metering]


def facts(card: ProviderCard) -> str:
    """Return what a provider is, as a table."""
    rows = {
        "models": ", ".join(f"`{model}`" for model in card.models if model) or "one",
        "voices": ", ".join(voice for voice in card.voices if voice) or "its own",
        "key": f"`voiced key set {card.key_server}`" if card.key_server else "none",
        "usage and billing": card.billing_url,
        "price list": card.pricing_url,
        "paid by": _paid_by(card),
        "longest connection": f"{card.max_session_s // 60} min" if card.max_session_s else "",
        "goes on after it": {
            "native": "by the service's own handle",
            "replay": "by telling the conversation again",
            "none": "not: the session ends",
        }[card.resumption],
        "samplerate": f"{card.samplerate_in} Hz in, {card.samplerate_out} Hz out",
        "pictures in": "yes" if card.supports_video_in else "",
        "`/say` word for word": "yes" if card.can_say else "",
        "signals": _signals(card.signals),
    }
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items() if value]
    return "| | |\n|---|---|\n" + "\n".join(lines) + "\n"


def _signals(names: list[str]) -> str:
    if len(names) <= 8:
        return ", ".join(f"`{name}`" for name in names)
    return f"{len(names)}, from `{names[0]}` to `{names[-1]}`"


def parameters(card: ProviderCard) -> str:
    """Return a provider's own page, as a table."""
    if not card.parameters:
        return "It has no parameters of its own.\n"
    lines = [
        f"Under `/<agent>/{card.name}/<Name>`, and `[agent.{card.name}]` in the configuration.",
        "",
        "| Name | tag | range | default | applies | what |",
        "|---|---|---|---|---|---|",
    ]
    for row in card.parameters:
        cells = (row.name, row.tag, _range(row), _default(row), row.applies, row.doc)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _range(row: ProviderParameter) -> str:
    if row.options:
        names = " ".join(option or '""' for option in row.options)
        return f"{names} or any other" if row.open_menu else names
    if row.minimum is None or row.maximum is None:
        return ""
    return f"{row.minimum:g} to {row.maximum:g}"


def _default(row: ProviderParameter) -> str:
    if isinstance(row.default, bool):
        return str(int(row.default))
    return '""' if row.default == "" else str(row.default)


def price_list(provider: str) -> str:
    """Return what a service charges, as tables: by the token, by anything else, and what ends."""
    rows = {model: prices.listed(provider, model) for model in prices.models(provider)}
    by_token: list[str] = []
    by_other: list[str] = []
    ending: list[str] = []
    for model, row in rows.items():
        if row is None or prices.book()[provider].models[model].alias_of:
            continue
        name = "every model" if model == EVERY_MODEL else f"`{model}`"
        read = f"{row.source}, {row.date}" + ("" if row.verified else " **(unverified)**")
        if row.audio_in is not None and row.transcription_minute is None:
            cells = (_three(row, "text"), _three(row, "audio"), _two(row, "image"))
            by_token.append(f"| {name} | {' | '.join(cells)} | {_cell(read)} |")
        others = [
            f"{_usd(rate)} {what}"
            for field, what in _UNITS.items()
            if (rate := getattr(row, field)) is not None
        ]
        if others:
            by_other.append(f"| {name} | {', '.join(others)} | {_cell(read)} |")
        if text := prices.shutdown_text(row):
            ending.append(f"- {name}: {text}.")
    parts = []
    if by_token:
        head = (
            "| USD per 1,000,000 tokens | text in / cached / out | audio in / cached / out "
            "| image in / cached | read at |\n|---|---|---|---|---|"
        )
        parts.append("\n".join([head, *by_token]))
    if by_other:
        parts.append("\n".join(["| | USD | read at |\n|---|---|---|", *by_other]))
    if ending:
        parts.append("\n".join(ending))
    return "\n\n".join(parts) + "\n"


def _three(row: Rates, kind: str) -> str:
    return " / ".join(_usd(getattr(row, f"{kind}_{way}")) for way in ("in", "cached", "out"))


def _two(row: Rates, kind: str) -> str:
    rates = [getattr(row, f"{kind}_{way}") for way in ("in", "cached")]
    return " / ".join(_usd(rate) for rate in rates) if any(rates) else ""


def _usd(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
