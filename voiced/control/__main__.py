"""`python -m voiced.control`, and behind `voiced run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from voiced.control.run import run
from voiced.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `voiced run` takes."""
    parser.add_argument(
        "--config", default="", metavar="FILE",
        help="the configuration file; without it $VOICED_CONFIG, ~/.config/voiced/voiced.toml, "
        "/etc/voiced/voiced.toml, or what is built in",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="a key over the file's, as agent.voice_agent.par.Volume=0.5; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with status 78 when the file is broken, instead of running the last good one",
    )


def main(argv: Sequence[str] | None = None) -> ExitCode:
    """Run the daemon until it is told to stop; return the exit status."""
    parser = argparse.ArgumentParser(prog="voiced run", description="the daemon in the foreground")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    return run(arguments.config, arguments.settings, strict=arguments.strict)


if __name__ == "__main__":
    # `python -m voiced.control run ...` is the same as `voiced run ...`.
    words = sys.argv[1:]
    sys.exit(main(words[1:] if words[:1] == ["run"] else words))
