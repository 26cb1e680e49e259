"""The inference process: `python -m voiced.inference --control-fd N`.

Control's `Attach` names the wire to the network process and the device segment for the liveness
stamp. `--wire-fd N` runs it without control, for tests and by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from typing import Any

from voiced.errors import ExitCode, RemoteProtocolError
from voiced.lane.seam import die_with_parent
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages import framing

_STAMP_S = 0.1
_NICE = 5
_LANGUAGES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

logger = logging.getLogger("voiced.inference")

ControlMessage = framing.Hello | framing.Attach | framing.Shutdown


def main() -> int:
    """Run until control is gone or says so; return the exit status."""
    arguments = _arguments()
    faulthandler.enable()
    die_with_parent()
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("VOICED_LOG", "INFO").upper(),
        format="inference %(message)s",
    )
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    for variable in _LANGUAGES:  # read by the numeric libraries when they are first imported
        os.environ.setdefault(variable, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; control decides
    try:
        status = asyncio.run(_run(arguments))
    except RemoteProtocolError as error:
        logger.error("! %s", error)
        status = ExitCode.PROTOCOL
    # An engine may be in the middle of a long computation: its thread is not waited for.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m voiced.inference", description=__doc__)
    parser.add_argument("--control-fd", type=int, default=-1, help="stream to control")
    parser.add_argument("--wire-fd", type=int, default=-1, help="packets to the network process")
    arguments = parser.parse_args()
    if arguments.control_fd < 0 and arguments.wire_fd < 0:
        parser.error("one of --control-fd and --wire-fd is needed")
    return arguments


async def _run(arguments: argparse.Namespace) -> ExitCode:
    # Before the first Hello and the first stamp: importing the engines' modules takes seconds on a
    # busy machine, and a loop that has begun to stamp must not stop.
    import voiced.inference.service  # noqa: F401

    process = _Process()
    if arguments.control_fd >= 0:
        process.listen(arguments.control_fd)
    if arguments.wire_fd >= 0:
        process.serve(arguments.wire_fd)
    return await process.ended


class _Process:
    """What the program is attached to."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ExitCode] = self._loop.create_future()
        self._control: asyncio.Task[None] | None = None
        self._loop.set_exception_handler(self._failed)
        self._loop.add_signal_handler(signal.SIGTERM, self._end, ExitCode.DONE)

    def listen(self, fd: int) -> None:
        """Do what control says on this stream."""
        self._control = asyncio.create_task(self._controlled(fd), name="control")
        self._control.add_done_callback(lambda task: task.cancelled() or task.result())

    def serve(self, fd: int) -> None:
        """Be the local voice on this packet socket."""
        from voiced.inference.service import Service

        service = Service(socket.socket(fileno=fd), lambda: self._end(ExitCode.CONTROL_GONE))
        service.start()
        logger.info("= ready")

    async def _controlled(self, fd: int) -> None:
        try:
            await self._obey(fd)
        except RemoteProtocolError as error:
            logger.error("! control: %s", error)
            self._end(ExitCode.PROTOCOL)
        except OSError:
            self._end(ExitCode.CONTROL_GONE)

    async def _obey(self, fd: int) -> None:
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
        writer.write(framing.encode(framing.Hello(pid=os.getpid())))
        decoder: framing.Decoder[framing.Message] = framing.Decoder(ControlMessage)  # type: ignore[arg-type]
        greeted = False
        while data := await reader.read(65_536):
            for message in decoder.receive(data):
                if not greeted and not isinstance(message, framing.Hello):
                    raise RemoteProtocolError("the first message is no Hello")
                match message:
                    case framing.Hello(version=version):
                        if version != framing.PROTOCOL_VERSION:
                            raise RemoteProtocolError(f"control speaks protocol {version}")
                        greeted = True
                    case framing.Attach():
                        self._attach(message)
                    case framing.Shutdown():
                        self._end(ExitCode.DONE)
        self._end(ExitCode.CONTROL_GONE)

    def _attach(self, attach: framing.Attach) -> None:
        self._stamp(DeviceSegment(attach.device_fd))
        if attach.wire_fd >= 0:
            self.serve(attach.wire_fd)

    def _stamp(self, device: DeviceSegment) -> None:
        """Say that the loop is alive, now and again."""
        device.stamp(Owner.INFERENCE)
        self._loop.call_later(_STAMP_S, self._stamp, device)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End on what nobody foresaw: a fresh process is a known state, and is there in seconds."""
        logger.error("! %s", context["message"], exc_info=context.get("exception"))
        self._end(ExitCode.FAILED)

    def _end(self, status: ExitCode) -> None:
        if not self.ended.done():
            logger.info("= ends status=%d", status)
            self.ended.set_result(status)


if __name__ == "__main__":
    sys.exit(main())
