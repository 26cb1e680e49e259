"""`python -m voiced.audio --control-fd N`: started by control, never by hand."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys

from voiced.lane.seam import die_with_parent

# Before numpy is imported: its linear algebra would start a thread for every core.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

SWITCH_INTERVAL_S = 0.0005
"""How long the main thread may keep the interpreter from the callback."""


def main() -> None:
    """Greet control, lock memory, then load what makes sound."""
    parser = argparse.ArgumentParser(prog="python -m voiced.audio", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    parser.add_argument("--again", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_parent()
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    from voiced.audio.channel import Channel
    from voiced.audio.renewal import remember
    from voiced.errors import ChannelClosed, ExitCode, RemoteProtocolError
    from voiced.lane.priority import allows_realtime, lock_memory

    known = remember(arguments.again) if arguments.again else None
    try:
        channel = Channel(arguments.control_fd, known.attach if known else None)
    except ChannelClosed:
        os._exit(ExitCode.CONTROL_GONE)
    except RemoteProtocolError as error:
        print(f"! audio: {error}", file=sys.stderr, flush=True)
        os._exit(ExitCode.PROTOCOL)
    lock_memory()
    realtime = allows_realtime()

    from voiced.audio.service import Service

    Service(channel, realtime=realtime, known=known).run()


if __name__ == "__main__":
    main()
