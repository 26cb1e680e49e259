"""`voiced set NAME VALUE`."""

from __future__ import annotations

import argparse

from voiced.cli.link import address_of, linked, note, shown
from voiced.cli.link import agents as agents_of
from voiced.cli.link import arguments as where
from voiced.errors import ExitCode


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
        for message in link.do(address, *_values(address, args.value)):
            if message.address == address:
                print(" ".join(shown(argument) for argument in message.args))
            note(message)
    return ExitCode.DONE


def _values(address: str, words: list[str]) -> list[str | int]:
    """Return what to send: parameters take any words, the daemon's own addresses numbers."""
    if not address.startswith("/voiced/"):
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
