"""The shell command `voiced`: one module a verb, imported only when its verb is used."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from voiced import __version__
from voiced.errors import ChannelClosed, ConfigError, ExitCode, VoicedError

VERBS: Final = {
    "run": "the daemon in the foreground: what systemd runs",
    "demo": "a whole conversation: no key, no internet, no sound card",
    "check": "is this machine ready for the show?",
    "get": "a parameter's value",
    "set": "set a parameter, or forget what was set",
    "pulse": "fire a pulse: Connect, Stop, Sendtext ...",
    "watch": "what the daemon says, as it says it",
    "status": "how the daemon and its agents are",
    "devices": "sound devices: list, test",
    "midi": "MIDI ports",
    "providers": "voice services: what there is, and what is missing",
    "addresses": "every OSC address",
    "emulate": "a stand-in of a cloud service to rehearse against",
    "key": "API keys: set, list, remove",
    "traces": "past conversations: list, show, export, forget",
    "callbacks": "a Python file with every callback's signature",
    "install": "config, unit, account and folders (later)",
}
LATER: Final = {
    "install": "comes later; systemd/ holds the units, and the steps stand at their top",
}


class Verb(Protocol):
    """What a verb's module holds."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    0 done, 1 failed or degraded, 2 usage, 69 not running or not available, 78 configuration error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in LATER and not {"-h", "--help"} & set(words):
        print(f"voiced {words[0]} {LATER[words[0]]}.", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    try:
        parser, verb = _parser(words)
        args = parser.parse_args(words)
        if verb is None:
            parser.print_help()
            return ExitCode.USAGE
        return int(verb.run(args))
    except ConfigError as error:
        for problem in error.problems:
            print(f"voiced: {problem}", file=sys.stderr)
        if error.file:
            print(f"voiced: mend {error.file} first", file=sys.stderr)
        return ExitCode.CONFIG
    except ChannelClosed as error:
        print(f"voiced: {error}", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    except VoicedError as error:
        print(f"voiced: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.DONE
    except BrokenPipeError:
        sys.stderr.close()  # `voiced watch | head`: Python would complain once more at its end
        return ExitCode.DONE
    except OSError as error:
        print(f"voiced: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED


def _parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, Verb | None]:
    parser = argparse.ArgumentParser(
        prog="voiced",
        description="The daemon that gives an installation a voice, and everything around it.",
        epilog="exit codes: 0 done, 1 failed or degraded, 2 usage, 69 not running or not "
        "available, 78 configuration error",
    )
    parser.add_argument("--version", action="version", version=f"voiced {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    chosen: Verb | None = None
    for name, text in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ("" if text[-1] in ".?" else "."),
            epilog=LATER.get(name),
        )
        if name in words[:1] and name not in LATER:
            chosen = cast(Verb, import_module(f"voiced.cli.{name}"))
            chosen.arguments(sub)
    return parser, chosen
