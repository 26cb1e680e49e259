"""`python -m voiced.tools --control-fd N`: started by control where such tools are configured."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys

from voiced.lane.seam import bound_memory, die_with_parent, hide_memory

SHARE = 0.25
"""Of the machine's memory: servers send what they like."""
NICE = 5
"""Whoever waits for a tool waits anyway; sound comes first."""
LIBRARIES = ("mcp", "client", "httpx2", "httpcore2", "asyncio")
"""They log what servers say, which is what visitors have said."""


def main() -> None:
    """Run until control is gone or says so."""
    parser = argparse.ArgumentParser(prog="python -m voiced.tools", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_parent()
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bound_memory(SHARE)
    # Keys in its memory, and in its servers', are in no core dump.
    hide_memory()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="tools %(message)s",
    )
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    # Before Hello: the protocol's library takes a second to load, during which nothing is stamped.
    from voiced.tools.service import Service

    status = asyncio.run(Service(arguments.control_fd).run())
    logging.shutdown()
    sys.stderr.flush()
    # A name that is being looked up keeps a thread, which is not waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
