"""`voiced providers`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from voiced.control.config import Config, find, parse, read_text
from voiced.errors import ExitCode
from voiced.messages.network import ProviderCard


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--folder",
        default="",
        metavar="DIR",
        help="drop-ins to look at, instead of the configuration's",
    )
    parser.add_argument("--config", metavar="FILE", default="", help="as for `voiced run`")


def run(args: argparse.Namespace) -> int:
    """List the voice services, and what is missing for those that cannot be used."""
    cards = catalogue(args.config, args.folder)
    if args.json:
        report = [
            {"name": card.name, "title": card.title, "available": card.available,
             "reason": card.reason, "models": card.models, "voices": card.voices}
            for card in cards
        ]  # fmt: skip
        print(json.dumps(report, indent=1))
    else:
        for card in cards:
            state = "ready" if card.available else f"not available: {card.reason}"
            print(f"{card.name:18}{card.title:28}{state}")
    return ExitCode.DONE if any(card.available for card in cards) else ExitCode.FAILED


def catalogue(config_file: str, folder: str = "") -> list[ProviderCard]:
    """Return a card for each provider, with the drop-ins and prices of a configuration.

    Args:
        config_file: as for `voiced run`; "" = where one is found.
        folder: of drop-ins, in place of the configuration's.

    Raises:
        ConfigError: it cannot be used.
    """
    from voiced.providers import prices
    from voiced.providers.registry import Registry

    path = find(config_file, os.environ)
    config = Config() if path is None else parse(read_text(path), str(path))
    prices.overrule(config.prices)
    registry = Registry()
    registry.scan(folder or config.providers_folder(Path.cwd() if path is None else path.parent))
    return registry.catalogue().providers
