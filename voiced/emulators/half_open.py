"""A link whose other side vanished: packets that arrive are dropped before they are acknowledged.

What a pulled cable or a crashed router does, on loopback and without rights: a socket filter that
lets nothing through (socket(7), SO_ATTACH_FILTER). The peer's keepalive probes and its data stay
unanswered, as in the field; only not reading would not do, the kernel would go on acknowledging.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_RETURN_NOTHING: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
"""BPF_RET | BPF_K with 0 bytes kept: the packet is dropped."""


def deafen(link: socket.socket) -> bool:
    """Let nothing arrive on `link` any more; False where the system cannot."""
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    # struct sock_fprog: the number of instructions, padding, their address.
    option = struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
    try:
        link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:
        return False
    return True
