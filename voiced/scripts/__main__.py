"""`python -m voiced.scripts --control-fd N`: started by control when Callbackdat names a file."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import signal
import sys
import traceback

from voiced.lane.seam import bound_memory, die_with_parent

NICE = 10
"""A script that spins takes what nobody else wants."""
MEMORY_SHARE = 0.25
"""Of the machine's memory; a script that takes more gets a MemoryError."""


def main() -> None:
    """Run until control is gone or says so."""
    parser = argparse.ArgumentParser(prog="python -m voiced.scripts", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    arguments = parser.parse_args()
    # The script gets other descriptors for what it prints: stacks go to the log as it is.
    stacks = os.fdopen(os.dup(2), "w", buffering=1)
    faulthandler.enable(stacks)
    sys.excepthook = lambda *raised: traceback.print_exception(*raised, file=stacks)
    die_with_parent()
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    bound_memory(MEMORY_SHARE)

    from voiced.errors import ExitCode, RemoteProtocolError
    from voiced.scripts.service import Service

    try:
        status = Service(arguments.control_fd, stacks).run()
    except RemoteProtocolError as error:
        print(f"! scripts: {error}", file=stacks, flush=True)
        status = ExitCode.PROTOCOL
    # Not sys.exit: threads of the script's own would be waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
