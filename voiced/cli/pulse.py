"""`voiced pulse NAME`."""

from __future__ import annotations

import argparse

from voiced.cli.link import address_of, linked
from voiced.cli.link import arguments as where
from voiced.errors import ExitCode


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="Connect, Disconnect, Stop, Restart ...")
    parser.add_argument("text", metavar="TEXT", nargs="*", help="for Sendtext: what to send")
    where(parser)


def run(args: argparse.Namespace) -> int:
    """Fire it once."""
    with linked(args) as link:
        address = address_of(link, args, args.name)
        link.do(address, *([" ".join(args.text)] if args.text else []))
    return ExitCode.DONE
