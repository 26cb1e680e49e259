"""`voiced watch [PATTERN]`."""

from __future__ import annotations

import argparse

from voiced.cli.link import arguments as where
from voiced.cli.link import linked, shown
from voiced.errors import ExitCode


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="*",
        help="such as '/*/cb/*' or '/*/sig/level_in'; * crosses / (default: all but signals)",
    )
    where(parser, agent=False)


def run(args: argparse.Namespace) -> int:
    """Print each message until Ctrl-C."""
    everything = args.pattern == "*"
    with linked(args) as link:
        for said in link.listen("/*" if everything else args.pattern):
            if everything and ("/sig/" in said.address or said.address.endswith("/heartbeat")):
                continue
            words = [shown(argument) for argument in said.args]
            print(said.address, *words, sep="\t", flush=True)
    return ExitCode.DONE
