"""The other side of the wire: sockets, and python-osc as an independent codec."""

from __future__ import annotations

import socket
import time
from typing import Any

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

Said = tuple[str, list[Any]]


def built(address: str, *args: Any, tags: str | None = None) -> bytes:
    builder = OscMessageBuilder(address)
    for n, argument in enumerate(args):
        builder.add_arg(argument, None if tags is None else tags[n])
    return bytes(builder.build().dgram)


class Udp:
    """One sender that hears its answers."""

    def __init__(self, port: int, host: str = "127.0.0.1", at: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, at))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._where = (host, port)
        self._syncs = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Udp:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def raw(self, packet: bytes) -> None:
        self.socket.sendto(packet, self._where)

    def send(self, address: str, *args: Any, tags: str | None = None) -> None:
        self.raw(built(address, *args, tags=tags))

    def packet(self, timeout: float = 5.0) -> bytes:
        self.socket.settimeout(timeout)
        return self.socket.recv(65_536)

    def next(self, timeout: float = 5.0) -> list[Said]:
        packet = self.packet(timeout)
        if packet.startswith(b"#bundle"):
            return [(m.message.address, list(m.message.params)) for m in OscPacket(packet).messages]
        message = OscMessage(packet)
        return [(message.address, list(message.params))]

    def until(self, address: str, timeout: float = 5.0) -> list[Said]:
        """Return what comes up to and with `address`."""
        end = time.monotonic() + timeout
        heard: list[Said] = []
        while True:
            for said in self.next(max(end - time.monotonic(), 0.001)):
                heard.append(said)
                if said[0] == address:
                    return heard

    def done(self) -> list[Said]:
        """Return what was said until all that was sent is done."""
        self._syncs += 1
        self.send("/voiced/sync", self._syncs)
        while True:
            heard = self.until("/voiced/synced")
            if heard[-1][1] == [self._syncs]:
                return heard[:-1]

    def ask(self, address: str, *args: Any) -> list[Any]:
        """Return the arguments of what is answered on the same address."""
        self.send(address, *args)
        return self.until(address)[-1][1]

    def refused(self, address: str, *args: Any, tags: str | None = None) -> str:
        """Return the code something is refused with."""
        self.send(address, *args, tags=tags)
        codes = [said[1] for said in self.done() if said[0] == "/voiced/error"]
        assert codes, f"{address} {args} was not refused"
        assert codes[-1][0] == address
        assert codes[-1][2], "a refusal without a sentence"
        return str(codes[-1][1])
