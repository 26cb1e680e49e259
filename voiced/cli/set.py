"""`voiced set NAME VALUE`."""

from __future__ import annotations

import argparse

from voiced.cli.link import address_of, linked, note, shown
from voiced.cli.link import agents as agents_of
from voiced.cli.link import arguments as where
from voiced.errors import ExitCode, VoicedError
from voiced.parameters import ROWS, Kind


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="Volume, local/<Name> ...")
    parser.add_argument("value", metavar="VALUE", nargs="*", help="a number or words")
    parser.add_argument("--forget", metavar="NAME", help="what the configuration says counts again")
    parser.add_argument("--all", action="store_true", help="forget every value that was set")
    where(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Set it, and say so where something else was stored than was asked for."""
    if args.forget or args.all:
        return _forget(args)
    if args.name is None or not args.value:
        args.parser.error("name a parameter and its value, or use --forget")
    with linked(args) as link:
        address = address_of(link, args, args.name)
        _refuse_key(address)
        for message in link.do(address, *_values(address, args.value)):
            if message.address == address:
                print(" ".join(shown(argument) for argument in message.args))
            note(message)
    return ExitCode.DONE


def _refuse_key(address: str) -> None:
    """Refuse to pass on a key: the list of processes and the shell's history show it already."""
    row = ROWS.get(address.rpartition("/")[2])
    if row is not None and row.secret:
        raise VoicedError(
            "a key is not given on the command line: it would stand in the shell's history and in "
            "the list of processes. Run `voiced key set SERVER` and type it; better have the "
            "service make a new one, this one was shown"
        )


def _values(address: str, words: list[str]) -> list[str | int]:
    """Return what to send: parameters take any words, the daemon's own addresses numbers.

    Where a number counts the names there are, as for Profile, it is sent as one, too.
    """
    row = ROWS.get(address.rpartition("/")[2])
    counts = row is not None and row.kind is Kind.NAMES
    if not counts and not address.startswith("/voiced/"):
        return list(words)
    return [int(word) if word.lstrip("-").isdigit() else word for word in words]


def _forget(args: argparse.Namespace) -> int:
    if args.all and (args.forget or args.name):
        args.parser.error("--all forgets every value: name none")
    with linked(args) as link:
        if args.all:
            agents = [args.agent] if args.agent else agents_of(link)
            targets = [f"/{agent}" for agent in agents]
        else:
            targets = [address_of(link, args, args.forget)]
        for target in targets:
            link.do("/voiced/forget", target)
    return ExitCode.DONE
