"""Where the daemon is, and what a name means there: shared by the verbs that talk to one."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from voiced.control.osc.client import Client, Said
from voiced.control.osc.codec import Argument
from voiced.control.osc.settings import PORT
from voiced.parameters import ROWS

HOST: Final = "127.0.0.1"


def arguments(parser: argparse.ArgumentParser, *, agent: bool = True) -> None:
    """Declare where the daemon is."""
    if agent:
        parser.add_argument("--agent", metavar="A", help="which agent (default: the first)")
    parser.add_argument("--host", metavar="H", default=HOST, help=f"default {HOST}")
    parser.add_argument("--port", metavar="P", type=int, default=PORT, help=f"default {PORT}")


def linked(args: argparse.Namespace) -> Client:
    """Connect to the daemon that the command line means.

    Raises:
        ChannelClosed: nobody listens there.
    """
    client = Client(args.host, args.port)
    client.send("/voiced/shell")
    return client


def agents(client: Client) -> list[str]:
    """Return the agents' names."""
    return [str(name) for name in client.ask("/voiced/agents")]


def address_of(client: Client, args: argparse.Namespace, name: str) -> str:
    """Return the address that a name means: `Volume`, `local/<Name>` or a whole address."""
    if name.startswith("/"):
        return name
    agent = args.agent or agents(client)[0]
    page, _, below = name.partition("/")
    # Below a parameter there are its options and the like; a provider's page has no such name.
    return f"/{agent}/{name}" if below and page not in ROWS else f"/{agent}/par/{name}"


def note(message: Said) -> None:
    """Tell on stderr what is kept but does nothing yet."""
    if message.address == "/voiced/error":
        print("voiced:", message.args[2], file=sys.stderr)


def shown(argument: Argument) -> str:
    """Return an argument as a person writes it: 0.3 for the 32 bit float nearest to it."""
    if isinstance(argument, float):
        for digits in range(1, 10):
            near = float(f"{argument:.{digits}g}")
            if abs(near - argument) <= abs(argument) * 2**-24:
                return f"{near:.0f}" if near.is_integer() else str(near)
    return str(argument)
