"""`voiced pulse NAME`."""

from __future__ import annotations

import argparse

from voiced.cli.link import address_of, linked, note
from voiced.cli.link import arguments as where
from voiced.errors import ExitCode, VoicedError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="Connect, Disconnect, Stop, Restart ...")
    parser.add_argument("text", metavar="TEXT", nargs="*", help="for Sendtext: what to send")
    where(parser)


def run(args: argparse.Namespace) -> int:
    """Fire it once."""
    with linked(args) as link:
        address = address_of(link, args, args.name)
        told = link.do(address, *([" ".join(args.text)] if args.text else []))
        if any(message.address == address for message in told):
            raise VoicedError(f"{args.name} is no pulse: voiced get {args.name}, or voiced set")
        for message in told:
            note(message)
    return ExitCode.DONE
