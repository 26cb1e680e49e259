"""Which providers there are: the modules of this package and those in the drop-in folder.

Every module is loaded by itself. One that does not load, or breaks the contract, becomes a card
that says why; nothing else notices. A drop-in runs with the daemon's rights and is given API keys,
so only files that nobody but a trusted user can have written are loaded.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import stat
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

import msgspec

from voiced import providers
from voiced.errors import ContractError
from voiced.messages.network import Catalogue, Price, ProviderCard, ProviderParameter
from voiced.providers import packages, prices
from voiced.providers.attempts import Attempts
from voiced.providers.contract import Availability, Provider, check, constant

PREFIX = "provider_"
MAX_SOURCE = 1024 * 1024
"""Bytes of a drop-in; more is no provider module."""

T = TypeVar("T")
logger = logging.getLogger(__name__)
_card_decoder = msgspec.msgpack.Decoder(ProviderCard)


class Registry:
    """The providers of this process.

    Attributes:
        attempts: what is remembered of drop-ins that ended their process.
    """

    def __init__(self) -> None:
        self.attempts = Attempts(None)
        self._built_in: dict[str, tuple[ProviderCard, Provider | None]] = {}
        self._dropped: dict[str, tuple[ProviderCard, Provider | None]] = {}
        for found in pkgutil.iter_modules(providers.__path__):
            if found.name.startswith(PREFIX):
                name = found.name.removeprefix(PREFIX)
                self._built_in[name] = _load_built_in(name)

    def scan(self, folder: str) -> None:
        """Look at the drop-in folder anew ("" = none); changed files are loaded again.

        So is what of the built-in ones lacked a package.
        """
        importlib.invalidate_caches()
        for name, (card, _) in self._built_in.items():
            if not card.available:
                self._built_in[name] = _load_built_in(name)
        self._dropped = {}
        if not folder:
            return
        path = Path(folder)
        try:
            files = sorted(path.glob(f"{PREFIX}*.py"))
            trusted = _untrusted(path.stat(), "folder")
        except OSError as error:
            logger.warning("! provider folder %s cannot be read: %s", path, error.strerror)
            return
        for file in files:
            name = file.stem.removeprefix(PREFIX)
            if name in self._built_in:
                reason = f"voiced has a provider {name} of its own: give the file another name"
                self._dropped[file.name] = _unavailable(file.name, reason), None
            elif trusted:
                self._dropped[name] = _unavailable(name, f"{folder}: {trusted}"), None
            elif flaw := self.attempts.flaw_of(file):
                logger.warning("! provider %s: %s", name, flaw)
                self._dropped[name] = _unavailable(name, flaw), None
            else:
                with self.attempts.loading(file):
                    self._dropped[name] = _load(name, partial(_drop_in, file))

    def catalogue(self) -> Catalogue:
        """Return a card for each provider, built-in ones first, also for those of no use."""
        cards = [card for card, _ in [*self._built_in.values(), *self._dropped.values()]]
        return Catalogue(providers=cards)

    def names(self) -> list[str]:
        """Return the names of all providers, also of those that cannot be used."""
        return [*self._built_in, *self._dropped]

    def reprice(self) -> None:
        """Ask every provider for its prices anew: the operator's own have changed."""
        for cards in (self._built_in, self._dropped):
            for name, (card, provider) in cards.items():
                if provider is not None:
                    pricing = _prices_of(name, provider, card.models, [])
                    cards[name] = msgspec.structs.replace(card, pricing=pricing), provider

    def find(self, name: str) -> Provider | str:
        """Return the module of a provider that can be used, or the sentence why there is none."""
        card, provider = self._built_in.get(name) or self._dropped.get(name) or (None, None)
        if card is None:
            known = ", ".join(sorted([*self._built_in, *self._dropped]))
            return f"there is no provider {name!r}; there are {known}"
        if provider is None or not card.available:
            return f"provider {name} cannot be used: {card.reason}"
        return provider


def card_of(name: str, provider: Provider) -> ProviderCard:
    """Return what control may know of a provider.

    Raises:
        ContractError: a function returns something else than the contract says.
    """
    problems: list[str] = []
    page = _asked(provider.get_parameters, list, "get_parameters must return a list", problems)
    answered: list[object] = list(page or [])
    rows = [row for row in answered if isinstance(row, ProviderParameter)]
    if len(rows) < len(answered):
        problems.append("get_parameters must return ProviderParameter rows and nothing else")
    voices = _asked(provider.voices, list, "voices must return a list of names", problems)
    ready = _asked(
        provider.is_available, Availability, "is_available must return an Availability", problems
    )
    models = [model for row in rows if row.name == "Model" for model in row.options]
    pricing = _prices_of(name, provider, models, problems)
    if problems:
        raise ContractError(name, problems)
    assert ready is not None
    missing = packages.missing(provider.DEPENDENCIES)
    card = ProviderCard(
        name=name,
        title=str(constant(provider, "TITLE")) or name.replace("_", " ").title(),
        available=ready.available,
        reason=ready.reason,
        samplerate_in=provider.SAMPLE_RATE_IN,
        samplerate_out=provider.SAMPLE_RATE_OUT,
        max_session_s=provider.MAX_SESSION_S or 0,
        resumption=provider.RESUMPTION,
        metering=provider.METERING,
        key_server=provider.KEY_SERVER or "",
        full_duplex=provider.FULL_DUPLEX,
        supports_video_in=provider.SUPPORTS_VIDEO_IN,
        supports_voice_cloning=provider.SUPPORTS_VOICE_CLONING,
        user_deltas=bool(constant(provider, "USER_DELTAS")),
        can_say=hasattr(provider, "say"),
        response_timeout_s=_number(provider, "RESPONSE_TIMEOUT_S"),
        answers_every_turn=bool(constant(provider, "ANSWERS_EVERY_TURN")),
        answers_results=bool(constant(provider, "ANSWERS_RESULTS")),
        text_waits=bool(constant(provider, "TEXT_WAITS")),
        updates_tools=bool(constant(provider, "UPDATES_TOOLS")),
        models=models,
        voices=voices or [],
        parameters=[row for row in rows if row.name != "Model"],
        signals=list(provider.SIGNAL_CHANNELS),
        pricing=pricing,
        billing_url=str(constant(provider, "BILLING_URL")),
        pricing_url=str(constant(provider, "PRICING_URL")),
        dependencies=list(provider.DEPENDENCIES),
        missing=missing,
        install=packages.command(missing) if missing else "",
    )
    return _as_sent(name, card)


def _number(provider: Provider, name: str) -> float:
    value = constant(provider, name)
    assert isinstance(value, int | float)
    return float(value)


def _prices_of(
    name: str, provider: Provider, models: list[str], problems: list[str]
) -> dict[str, Price]:
    """Return what each model costs: the operator's own price, else what the provider says."""
    pricing: dict[str, Price] = {}
    for model in dict.fromkeys([*(models or [""]), *prices.models(name)]):
        price: object
        if prices.overruled(name, model):
            price = prices.price(name, model)
        else:
            price = _asked(
                partial(provider.pricing, model),
                (Price, type(None)),
                f"pricing({model!r}) must return a Price or None",
                problems,
            )
        if isinstance(price, Price):
            pricing[model] = price
    return pricing


def _as_sent(name: str, card: ProviderCard) -> ProviderCard:
    """Return the card as control will read it: one that it could not read must not be sent."""
    try:
        return _card_decoder.decode(msgspec.msgpack.encode(card))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise ContractError(name, [f"what its functions return cannot be told: {error}"]) from None


def _asked(
    call: Callable[[], object],
    kind: type[T] | tuple[type[T], ...],
    sentence: str,
    problems: list[str],
) -> T | None:
    try:
        answer = call()
    except (Exception, SystemExit) as error:  # anybody's code
        problems.append(f"{sentence}, but it raised {type(error).__name__}: {error}")
        return None
    if not isinstance(answer, kind):
        problems.append(f"{sentence}, but it returned a {type(answer).__name__}")
        return None
    return answer


class _LackingError(Exception):
    """A module's import failed, and it names packages that are not installed."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(packages.lacks(missing))
        self.missing = missing


def _load_built_in(name: str) -> tuple[ProviderCard, Provider | None]:
    full = f"{providers.__name__}.{PREFIX}{name}"
    return _load(name, partial(importlib.import_module, full))


def _load(name: str, load: Callable[[], ModuleType]) -> tuple[ProviderCard, Provider | None]:
    try:
        module = load()
        problems = check(module)
        if problems:
            raise ContractError(name, problems)
        provider = cast("Provider", module)
        return card_of(name, provider), provider
    except ContractError as error:
        reason = "; ".join(error.problems)
    except _LackingError as error:
        logger.warning("! provider %s cannot be used: %s", name, error)
        return _unavailable(name, str(error), error.missing), None
    except (Exception, SystemExit, CancelledError) as error:  # anybody's code, run by the import
        frames = traceback.extract_tb(error.__traceback__)
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno
        reason = f"its import failed with {type(error).__name__} in line {line}: {error}"
    logger.warning("! provider %s cannot be used: %s", name, reason)
    return _unavailable(name, reason), None


def _unavailable(name: str, reason: str, missing: Sequence[str] = ()) -> ProviderCard:
    install = packages.command(missing) if missing else ""
    return ProviderCard(
        name=name, title=name, available=False, reason=reason, missing=list(missing),
        install=install,
    )  # fmt: skip


def _untrusted(status: os.stat_result, what: str) -> str:
    """Return why a file or folder may have been written by somebody else; "" = it was not."""
    if status.st_uid not in {0, os.getuid()}:
        return f"the {what} belongs to another user (uid {status.st_uid}): chown it"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write the {what}: chmod go-w it"
    return ""


def _drop_in(file: Path) -> ModuleType:
    """Load a drop-in from the very bytes whose owner was looked at; no cache is read or written."""
    # Non-blocking: a FIFO in this place must not hold up the process.
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ContractError(file.stem, ["it is no plain file"])
        if reason := _untrusted(status, "file"):
            raise ContractError(file.stem, [reason])
        source = opened.read(MAX_SOURCE + 1)
    if len(source) > MAX_SOURCE:
        raise ContractError(file.stem, [f"it is longer than {MAX_SOURCE} bytes"])
    module = ModuleType(f"voiced_dropin.{file.stem}")
    module.__file__ = str(file)
    # Its own classes (dataclasses, msgspec) look their module up by name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)
    except ImportError:
        if missing := packages.missing(packages.declared(source)):
            raise _LackingError(missing) from None
        raise
    return module
