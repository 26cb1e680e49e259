"""Which UDP targets refused what they were sent: the ICMP errors that the kernel queues.

Linux tells them on an unconnected socket (ip(7), IP_RECVERR). Elsewhere nothing is told, and every
target counts as there.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

from voiced.control.osc.peer import Destination

_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_MOST: Final = 64


def listen_for_refusals(sock: socket.socket) -> None:
    """Ask the kernel to queue the errors of what this socket sends."""
    if sys.platform != "linux":
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def refused_destinations(sock: socket.socket) -> list[Destination]:
    """Return where refused packets had been sent to, and empty the queue."""
    found: list[Destination] = []
    if sys.platform != "linux":
        return found
    for _ in range(_MOST):
        try:
            _data, _ancillary, _flags, where = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        except OSError:
            break
        if where:
            found.append((where[0], where[1]))
    return found
