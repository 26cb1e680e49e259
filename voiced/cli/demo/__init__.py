"""`voiced demo`: the main job on embedded defaults, shown from outside.

The daemon runs as it does in a show, as a process of its own on the virtual card; recorded visitors
speak to it, and everything that is printed and drawn was told by its doors or stands in its files.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from voiced.errors import ExitCode, VoicedError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--live", action="store_true", help="whoever stands at this machine's microphone, to Ctrl-C"
    )
    parser.add_argument(
        "--speech",
        metavar="FILE.wav",
        action="append",
        default=[],
        help="a visitor's recording; may be repeated (default: six public-domain recordings)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="keep trace, conversation.wav, transcript.txt and conversation.png there "
        "(default: demo-out)",
    )
    parser.add_argument("--provider", metavar="P", default="local", help="default local")


def run(args: argparse.Namespace) -> int:
    """Let visitors and daemon talk; tell how well it went."""
    from voiced.cli.demo import report
    from voiced.cli.demo.house import House
    from voiced.cli.demo.visit import Visit, live, visitors

    guests = [] if args.live else visitors(args.speech)
    out = Path(args.out or "demo-out").resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoicedError(
            f"{out} cannot be made ({error.strerror}): name another folder with --out"
        ) from error
    with tempfile.TemporaryDirectory(prefix=".voiced-", dir=out) as state:
        with House(Path(state), out, args.provider, live=args.live) as house:
            print("starting the daemon and its embedded voice ...", flush=True)
            client = house.start()
            if args.live:
                return live(client)
            visit = Visit(client, house.state_dir, out)
            visit.talk(guests)
        report.write(visit, out)
    return ExitCode.DONE
