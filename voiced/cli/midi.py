"""`voiced midi`."""

from __future__ import annotations

import argparse
import subprocess
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.description = "MIDI ports, by the names that a binding's `port` is matched against."


def run(args: argparse.Namespace) -> int:
    """List the ports; 69 where there is no MIDI."""
    # A program of its own: drivers may hang and libraries crash.
    return subprocess.run([sys.executable, "-m", "voiced.midi", "--list"], timeout=20).returncode
