"""`python -m voiced.recorder --control-fd N`: started by control at the first recording."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import signal
import sys

from voiced.lane.seam import die_with_parent

NICE = 5
"""Everything else comes first: the rings wait for a minute."""


def main() -> None:
    """Run until control is gone or says so."""
    parser = argparse.ArgumentParser(prog="python -m voiced.recorder", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_parent()
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A file beyond the system's limit is an error to tell, no reason to end.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICE)

    from voiced.errors import ExitCode, RemoteProtocolError
    from voiced.recorder.service import Service

    try:
        status = Service(arguments.control_fd).run()
    except RemoteProtocolError as error:
        print(f"! recorder: {error}", file=sys.stderr, flush=True)
        status = ExitCode.PROTOCOL
    sys.exit(status)


if __name__ == "__main__":
    main()
