"""`voiced providers`."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path

from voiced.control.config import Config, find, parse, read_text, state_dir_of
from voiced.control.key_command import options_for
from voiced.control.keys import find_keys
from voiced.errors import ExitCode
from voiced.lane.seam import hide_memory
from voiced.messages.network import ProviderCard
from voiced.mind.cost import pricing_text


def _on_no_card(record: logging.LogRecord) -> bool:
    """Let through what no card tells: what is wrong with a provider stands on its own."""
    return "cannot be used" not in record.msg


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for programs")
    how.add_argument("--markdown", metavar="PAGE", help="print a page, its generated parts new")
    parser.add_argument(
        "--folder",
        default="",
        metavar="DIR",
        help="drop-ins to look at, instead of the configuration's",
    )
    parser.add_argument("--config", metavar="FILE", default="", help="as for `voiced run`")


def run(args: argparse.Namespace) -> int:
    """List the voice services: what is missing, whose key, what it costs, where it is billed."""
    if args.markdown:
        from voiced.cli.provider_page import filled

        built_in = {card.name: card for card in catalogue(os.devnull)}
        print(filled(Path(args.markdown).read_text("utf-8"), built_in), end="")
        return ExitCode.DONE
    cards = catalogue(args.config, args.folder)
    hide_memory()
    keys = _keys(args.config)
    if args.json:
        print(json.dumps([_record(card, keys) for card in cards], indent=1))
    else:
        for card in cards:
            problems = card.reason.split("; ")
            several = len(problems) > 1
            why = f"{len(problems)} things are wrong with it" if several else card.reason
            state = "ready" if card.available else f"not available: {why}"
            print(f"{card.name:18}{card.title:36}{state}")
            for problem in problems if several else ():
                print(f"    {problem}")
            for word, text in _details(card, keys, args.config).items():
                print(f"    {word:9}{text}")
    return ExitCode.DONE if any(card.available for card in cards) else ExitCode.FAILED


def _details(card: ProviderCard, keys: dict[str, str], config: str) -> dict[str, str]:
    """Return what stands below a provider's line."""
    lines = {}
    if card.key_server:
        source = keys.get(card.key_server)
        missing = f"none: voiced key set {card.key_server}{options_for(config)}"
        lines["key"] = f"{card.key_server}, from its {source}" if source else missing
    if card.key_server and card.models:
        lines["price"] = f"{card.models[0]}: {pricing_text(card, card.models[0])}"
    if card.missing and card.available:
        lines["lacks"] = f"{', '.join(card.missing)}: {card.install}"
    if card.billing_url:
        lines["billing"] = card.billing_url
    if card.pricing_url:
        lines["prices"] = card.pricing_url
    return lines


def _record(card: ProviderCard, keys: dict[str, str]) -> dict[str, object]:
    return {
        "name": card.name,
        "title": card.title,
        "available": card.available,
        "reason": card.reason,
        "models": card.models,
        "voices": card.voices,
        "key_server": card.key_server,
        "key_source": keys.get(card.key_server, ""),
        "pricing": {model: pricing_text(card, model) for model in card.models},
        "billing_url": card.billing_url,
        "pricing_url": card.pricing_url,
        "dependencies": card.dependencies,
        "missing": card.missing,
        "install": card.install,
    }


def _keys(config_file: str) -> dict[str, str]:
    """Return server -> where its key comes from."""
    config, _ = _configured(config_file)
    found, _ = find_keys(state_dir_of(config, os.environ), os.environ)
    return {key.server: key.source for key in found}


def _configured(config_file: str) -> tuple[Config, Path]:
    """Return the configuration, and the folder that its relative paths start from."""
    if config_file == os.devnull:
        return Config(), Path.cwd()
    path = find(config_file, os.environ)
    config = Config() if path is None else parse(read_text(path), str(path))
    return config, Path.cwd() if path is None else path.parent


def catalogue(config_file: str, folder: str = "") -> list[ProviderCard]:
    """Return a card for each provider, with the drop-ins and prices of a configuration.

    Args:
        config_file: as for `voiced run`; "" = where one is found, os.devnull = what is built in.
        folder: of drop-ins, in place of the configuration's.

    Raises:
        ConfigError: it cannot be used.
    """
    from voiced.providers import prices
    from voiced.providers.registry import Registry

    config, base = _configured(config_file)
    prices.overrule(config.prices)
    registry = Registry()
    logger = logging.getLogger(Registry.__module__)
    logger.addFilter(_on_no_card)
    try:
        registry.scan(folder or config.providers_folder(base))
    finally:
        logger.removeFilter(_on_no_card)
    return registry.catalogue().providers
