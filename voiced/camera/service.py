"""The camera process: control says which cameras, pictures go back."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import assert_never

from voiced.camera.device import Device, Source
from voiced.errors import ExitCode, RemoteProtocolError
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages.camera import (
    CameraBack,
    CameraTrouble,
    Frame,
    FromCamera,
    SetCameras,
    ToCamera,
)
from voiced.messages.framing import PROTOCOL_VERSION, Attach, Decoder, Hello, Shutdown, encode

log = logging.getLogger("voiced.camera")

STAMP_S = 0.25
BEHIND = 2 * 1024 * 1024
"""Bytes that control has not taken, from which pictures are left out: a newer one follows."""


class Service:
    """Runs the process from its greeting to its end.

    Args:
        fd: of the channel to control.
        opened: opens a camera.
    """

    def __init__(self, fd: int, opened: Callable[[str], Source | None]) -> None:
        self._fd, self._opened = fd, opened
        self._decoder: Decoder[ToCamera] = Decoder(ToCamera)  # type: ignore[arg-type]
        self._devices: dict[str, Device] = {}
        self._blind: set[str] = set()
        self._stamps: asyncio.TimerHandle | None = None
        self._ended = False

    async def run(self) -> ExitCode:
        """Serve until control says so or is gone."""
        self._loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_connection(sock=socket.socket(fileno=self._fd))
        self._send(Hello(pid=os.getpid()))
        try:
            while not self._ended:
                received = await reader.read(65_536)
                if not received:
                    return ExitCode.CONTROL_GONE
                for message in self._decoder.receive(received):
                    self._take(message)
            return ExitCode.DONE
        except RemoteProtocolError as error:
            log.error("! %s", error)
            return ExitCode.PROTOCOL
        except OSError:
            return ExitCode.CONTROL_GONE
        finally:
            self._set_cameras(SetCameras(cameras=[]))
            if self._stamps is not None:
                self._stamps.cancel()

    def _send(self, message: FromCamera) -> None:
        self._writer.write(encode(message))

    def _take(self, message: ToCamera) -> None:
        match message:
            case Hello():
                if message.version != PROTOCOL_VERSION:
                    raise RemoteProtocolError(f"control speaks version {message.version}")
            case Attach():
                self._stamp(DeviceSegment(message.device_fd))
            case SetCameras():
                self._set_cameras(message)
            case Shutdown():
                self._ended = True
            case _:
                assert_never(message)

    def _stamp(self, device: DeviceSegment) -> None:
        device.stamp(Owner.CAMERA)
        self._stamps = self._loop.call_later(STAMP_S, self._stamp, device)

    # --- cameras

    def _set_cameras(self, message: SetCameras) -> None:
        """Open what is new, let go of what is gone, leave alone what is as it was."""
        wanted = {camera.name: camera.source for camera in message.cameras}
        for name, device in list(self._devices.items()):
            if wanted.get(name) != device.source:
                device.close()
                del self._devices[name]
                self._blind.discard(name)
        for name, source in wanted.items():
            if name not in self._devices:
                log.info("= looks through camera %s", name)
                self._devices[name] = Device(
                    source,
                    self._opened,
                    partial(self._on_loop, self._saw, name, source),
                    partial(self._on_loop, self._lost, name, source),
                )

    def _on_loop(self, call: Callable[..., None], *args: object) -> None:
        """Go on in the loop; called by a camera's thread."""
        self._loop.call_soon_threadsafe(call, *args)

    def _saw(self, name: str, source: str, jpeg: bytes) -> None:
        if not self._looks(name, source):
            return
        if name in self._blind:
            self._blind.discard(name)
            self._send(CameraBack(camera=name))
        transport = self._writer.transport
        if transport.get_write_buffer_size() < BEHIND:
            self._send(Frame(camera=name, jpeg=jpeg))

    def _lost(self, name: str, source: str) -> None:
        if self._looks(name, source):
            self._blind.add(name)
            sentence = (
                f"camera {name} gives no pictures: it is unplugged, or another program uses it; "
                "it is tried again"
            )
            self._send(CameraTrouble(camera=name, sentence=sentence))

    def _looks(self, name: str, source: str) -> bool:
        device = self._devices.get(name)
        return device is not None and device.source == source and not self._ended
