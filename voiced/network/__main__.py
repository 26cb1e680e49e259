"""The network process: `python -m voiced.network --control-fd N`, started by control."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from typing import Any

from voiced.lane.seam import die_with_parent, hide_memory
from voiced.messages.secrets import Redacted, Secrets

# Before numpy is imported: its linear algebra would start a thread for every core.
os.environ["OPENBLAS_NUM_THREADS"] = "1"


def main() -> None:
    """Run until control is gone or says so; exit with the status that tells why."""
    parser = argparse.ArgumentParser(prog="python -m voiced.network", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_parent()
    # It will hold every key.
    hide_memory()
    secrets = Secrets()
    sys.stdout, sys.stderr = Redacted(sys.stdout, secrets), Redacted(sys.stderr, secrets)
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="network %(message)s",
    )
    # websockets logs what it sends; a key or a visitor's words are not for the log.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = asyncio.run(_run(arguments.control_fd, secrets))
    logging.shutdown()
    sys.stderr.flush()
    # A name being resolved in a thread may take ten seconds more: it is not waited for.
    os._exit(status)


async def _run(fd: int, secrets: Secrets) -> int:
    from voiced.errors import ExitCode
    from voiced.network.service import Service

    loop = asyncio.get_running_loop()
    service = Service(loop, secrets)

    def failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(context.get("future"), asyncio.Task):
            # A task that nobody awaited: a provider's own, since every other one is watched. Its
            # text may hold a key or a visitor's words.
            logging.error("! a task of a provider failed: %s", type(error).__name__)
            return
        # A fresh process is a known state, and is there within a second.
        logging.error("! %s", context["message"], exc_info=context.get("exception"))
        service.end(ExitCode.FAILED)

    loop.set_exception_handler(failed)
    loop.add_signal_handler(signal.SIGTERM, service.end, ExitCode.DONE)
    await loop.create_connection(lambda: service.channel, sock=socket.socket(fileno=fd))
    return await service.run()


if __name__ == "__main__":
    main()
