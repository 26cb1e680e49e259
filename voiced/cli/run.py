"""`voiced run`."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voiced.control.__main__ import add_arguments

    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the daemon in this very process: systemd watches its id."""
    from voiced.control.run import run as run_daemon

    return int(run_daemon(args.config, args.settings, strict=args.strict))
