"""`voiced get NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

from voiced.cli.link import address_of, linked, shown
from voiced.cli.link import arguments as where
from voiced.control.osc.codec import Argument
from voiced.errors import ExitCode

_HELP: Final = ("address", "type", "access", "range", "applies", "what")
_APPLIES: Final = {
    "now": "at once",
    "turn": "from the next turn on",
    "session": "from the next session on",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="Volume, local/<Name>, or a whole address")
    parser.add_argument(
        "--origin", action="store_true", help="also tell what it is: address, range, default"
    )
    where(parser)


def run(args: argparse.Namespace) -> int:
    """Print the value."""
    with linked(args) as link:
        address = address_of(link, args, args.name)
        value = " ".join(shown(argument) for argument in link.ask(address))
        if args.origin:
            told = link.ask("/voiced/help", address)
            value = "\n".join([value, *_labelled(told)])
    print(value)
    return ExitCode.DONE


def _labelled(told: Sequence[Argument]) -> Iterator[str]:
    """Name what /voiced/help tells; empty parts are left out."""
    for name, part in zip(_HELP, told, strict=False):
        if part:
            yield f"{name:9}{_APPLIES.get(str(part), part) if name == 'applies' else part}"
