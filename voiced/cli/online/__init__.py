"""`voiced check --online`: do the services take the keys, have the models, and like the set-ups?

The services' own packages ask and judge; nothing of a session is opened, so nothing is billed. A
package that is missing is a note with the command that installs it. No line ever holds a key: what
a service or its package says in words is not repeated.
"""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Iterator
from pathlib import Path

from voiced.cli.finding import Finding, bad, good, note
from voiced.cli.online.rehearsal import rehearse
from voiced.cli.online.vendors import INSTALL, VENDORS, NoModels, PackageMissing, Vendor
from voiced.cli.profiles import dressed
from voiced.control.config import Config
from voiced.control.keys import find_keys
from voiced.errors import ProviderError
from voiced.messages.network import ProviderCard, Value
from voiced.mind.parameters import ENDPOINT, Parameters
from voiced.parameters import nearest
from voiced.providers import prices
from voiced.providers.registry import Registry

ENDS_SOON_DAYS = 90
SHOWN = 8
"""Names of models in one line."""


def findings(config: Config, folder: Path, state_dir: Path) -> Iterator[Finding]:
    """Yield what the services say of each key, and then of each agent and its profiles."""
    prices.overrule(config.prices)
    registry = Registry()
    registry.scan(config.providers_folder(folder))
    cards = {card.name: card for card in registry.catalogue().providers}
    agents = [
        each
        for agent in config.agent
        for each in dressed(agent, config, folder, state_dir, cards.values())
    ]
    keys = {key.server: key.key for key in find_keys(state_dir, os.environ)[0]}
    for agent, parameters in agents:
        card = cards.get(parameters.provider)
        if card is None or not card.key_server:
            yield good("online", f"{agent}: {parameters.provider} needs no service")
    wanted: dict[tuple[str, str], list[tuple[str, Parameters]]] = {}
    for agent, parameters in agents:
        card = cards.get(parameters.provider)
        if card is not None and card.key_server:
            place = card.key_server, str(parameters.for_leg().get(ENDPOINT, ""))
            wanted.setdefault(place, []).append((agent, parameters))
    used = {server for server, _ in wanted}
    places = [*wanted, *((server, "") for server in keys if server not in used)]
    for server, endpoint in places:
        models: list[str] | None = None
        for finding, told in _ask(server, endpoint, keys.get(server, ""), server in used):
            models = told
            yield finding
        for name, parameters in wanted.get((server, endpoint), ()):
            card = cards[parameters.provider]
            yield from _model(name, card, parameters, models)
            yield from _setup(name, card, parameters, registry)


def _ask(
    server: str, endpoint: str, key: str, used: bool
) -> Iterator[tuple[Finding, list[str] | None]]:
    """Yield what a service says of a key, and the models that it names, None if it names none."""
    vendor = VENDORS.get(server)
    if vendor is None:
        yield note("online", f"{server}: nothing here knows how to ask this service"), None
    elif not key:
        yield bad("online", f"{server}: there is no key", f"voiced key set {server}"), None
    else:
        yield _answer(vendor, server, endpoint, key, used)


def _answer(
    vendor: Vendor, server: str, endpoint: str, key: str, used: bool
) -> tuple[Finding, list[str] | None]:
    where = f"{server} at {endpoint}" if endpoint else server
    try:
        models = vendor.models(key, endpoint)
    except PackageMissing as error:
        return note("online", f"{where}: not asked, {error}", INSTALL[server]), None
    except NoModels as error:
        return note("online", f"{where}: {error}"), None
    except ProviderError as error:
        what, _, fix = str(error).partition(": ")
        if error.code == "connect":
            fix = "is this machine online, and does its firewall let https out?"
            if endpoint:
                fix = f"does anything listen at {endpoint}? Else mend or remove endpoint"
        # A key that no agent uses is no reason to stop the show.
        made = bad if used else note
        return made("online", f"{where}: {what}", fix), None
    finding = good("online", f"{where}: the key works, {vendor.counted(models)}")
    return finding, models if vendor.lists_voices(models) else None


def _model(
    agent: str, card: ProviderCard, parameters: Parameters, models: list[str] | None
) -> Iterator[Finding]:
    """Yield whether the account has what an agent has chosen, and whether the model stays."""
    model, vendor = parameters.model(), VENDORS.get(card.key_server)
    if models is not None and vendor is not None:
        name = vendor.chosen
        chosen = model if name == "Model" else str(parameters.for_leg().get(name, ""))
        if chosen in models:
            yield good("model", f"{agent}: {chosen} is there")
        elif chosen:
            there = [each for each in card.models if each in models] or models or ["none"]
            yield bad(
                "model",
                f"{agent}: the account has no {chosen}.{nearest(chosen, models)}",
                f"set {name} to one of {', '.join(there[:SHOWN])}",
            )
    row = prices.listed(card.name, model)
    if row is None or row.shutdown is None:
        return
    days = (row.shutdown - datetime.date.today()).days
    follower = f"set Model to {row.replacement}" if row.replacement else "choose another service"
    text = f"{agent}: {model}: {prices.shutdown_text(row)}"
    if days <= 0 and row.shutdown_verified and models is None:
        yield bad("model", text, follower)
    elif days <= ENDS_SOON_DAYS:
        yield note("model", text, follower)


def _setup(
    agent: str, card: ProviderCard, parameters: Parameters, registry: Registry
) -> Iterator[Finding]:
    """Yield what the service's own types say of an agent's set-up."""
    vendor, provider = VENDORS.get(card.key_server), registry.find(card.name)
    if vendor is None or isinstance(provider, str):
        reason = provider if isinstance(provider, str) else "no package knows its types"
        yield note("set-up", f"{agent}: not looked at: {reason}")
        return
    page: dict[str, Value] = parameters.for_leg()
    rehearsed = asyncio.run(
        rehearse(
            provider,
            agent,
            page,
            vendor.greeting,
            push_to_talk=page.get("Sessionmode") == "push_to_talk",
        )
    )
    for told in rehearsed.told:
        yield note("set-up", f"{agent}: {told}")
    if rehearsed.refused:
        what, _, fix = rehearsed.refused.partition(": ")
        yield bad("set-up", f"{agent}: {what}", fix or f"look at [agent.{card.name}]")
        return
    try:
        mistakes = [flaw for frame in rehearsed.frames for flaw in vendor.judge(frame)]
    except PackageMissing as error:
        yield note("set-up", f"{agent}: not looked at, {error}", INSTALL[card.key_server])
        return
    for flaw in mistakes:
        yield bad("set-up", f"{agent}: {flaw}", f"look at [agent.{card.name}]")
    if not mistakes:
        judged = vendor.judged_by if rehearsed.frames else "the address alone"
        yield good("set-up", f"{agent}: {card.name} as set up holds ({judged})")
