"""`voiced emulate`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from voiced.emulators.services import SERVICES
from voiced.errors import ExitCode, VoicedError

_EPILOG = """\
To rehearse a show without a key and without the internet: start an emulator, and name the address
that it prints as the provider's endpoint in voiced.toml. The key may be anything:

    voiced emulate openai_realtime --port 8080 --script evening.toml

    [agent.openai_realtime]
    endpoint = "ws://127.0.0.1:8080"

While it runs, the same port answers a browser: /violations is what the client sent wrongly (an
empty list is right), /bill what the talk would have cost, /sessions who was connected.

A script (TOML or JSON) says what is heard and said, and what goes wrong and when; every field is
described in docs/emulators.md. The shortest useful one ends the first connection after a minute:

    [[connection]]
    [[connection.fault]]
    what = "cap"
    after_s = 60.0
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "A stand-in of a cloud voice service on this machine. It listens, answers and makes the\n"
        "service's own mistakes; the first line that it prints is its address."
    )
    parser.epilog = _EPILOG
    titles = "; ".join(f"{name}: {row.title}" for name, row in SERVICES.items())
    parser.add_argument("provider", choices=tuple(SERVICES), metavar="PROVIDER", help=titles)
    parser.add_argument(
        "--port", type=int, default=0, metavar="P", help="where to listen; without it any free port"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--script", metavar="FILE", help="what is heard and said, and the faults")
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="X",
        help="let its time run X times as fast: an hour's cap comes after a minute with 60",
    )
    parser.add_argument(
        "--pace",
        choices=("burst", "realtime"),
        default="burst",
        help="send replies as fast as they are made, as the services do, or no faster than heard",
    )
    parser.add_argument(
        "--voice",
        choices=("auto", "tone"),
        default="auto",
        help="speak with the local voice where it is installed, or in tones",
    )
    parser.add_argument(
        "--deaf",
        action="store_true",
        help="do not transcribe what visitors say; only the script's texts count",
    )
    parser.add_argument(
        "--key", action="append", default=[], metavar="KEY", help="refuse every key but this one"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="wss:// with a self-made certificate; the second line says where it lies, and "
        "SSL_CERT_FILE makes a client trust it",
    )


def run(args: argparse.Namespace) -> int:
    """Emulate until Ctrl-C or SIGTERM."""
    if args.speed <= 0:
        raise VoicedError("--speed must be above 0")
    try:
        return asyncio.run(_serve(args))
    except OSError as error:
        raise VoicedError(
            f"cannot listen on {args.host} port {args.port} ({error.strerror or error}): choose "
            "another --port, or none for any free one"
        ) from error


async def _serve(args: argparse.Namespace) -> int:
    # Only now: --help and a wrong word need no engine.
    from voiced.emulators import script, services

    try:
        kind = services.emulator(args.provider)
    except ImportError as error:
        print(f"voiced emulate: {args.provider} cannot be emulated: {error}", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    emulator = kind(
        script.load(Path(args.script)) if args.script else None,
        host=args.host,
        port=args.port,
        tls=args.tls,
        speed=args.speed,
        voice=args.voice,
        hearing=not args.deaf,
        pace=args.pace,
        keys=frozenset(args.key),
    )
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    async with emulator:
        for missing in await emulator.warm():
            print(f"voiced emulate: {missing}", file=sys.stderr)
        print(emulator.url, flush=True)
        if emulator.certificate is not None:
            print(f"SSL_CERT_FILE={emulator.certificate}", flush=True)
        await ending.wait()
    return ExitCode.DONE
