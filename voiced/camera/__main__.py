"""`python -m voiced.camera --control-fd N`: started by control while a session uses a camera."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import resource
import signal
import sys

from voiced.lane.seam import bound_memory, die_with_parent

SHARE = 0.25
"""Of the machine's memory: a stream sends what it likes."""
NICE = 5

# Before OpenCV is imported: it and FFmpeg write to stderr what they please, addresses too.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_VIDEOIO_DEBUG", "0")


def main() -> None:
    """Run until control is gone or says so."""
    parser = argparse.ArgumentParser(prog="python -m voiced.camera", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, metavar="N")
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_parent()
    # Ctrl-C reaches the whole terminal; control decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What visitors look like is in no core dump.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bound_memory(SHARE)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="camera %(message)s",
    )

    from voiced.camera.opencv import open_source
    from voiced.camera.service import Service

    status = asyncio.run(Service(arguments.control_fd, open_source).run())
    logging.shutdown()
    sys.stderr.flush()
    # A device that does not answer keeps its thread, which is not waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
