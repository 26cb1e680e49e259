"""`voiced get NAME`."""

from __future__ import annotations

import argparse

from voiced.cli.link import address_of, linked, shown
from voiced.cli.link import arguments as where
from voiced.errors import ExitCode


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
            value = "\n".join([value, *(str(part) for part in told if part)])
    print(value)
    return ExitCode.DONE
