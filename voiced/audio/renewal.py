"""What a process that looks for its card tells itself when it starts its program anew.

Looking again means starting PortAudio again, and each start leaves some 12 kB behind (the sound
libraries' own). A machine may wait for its card for weeks, so now and then the process replaces its
program: same pid, same channel, same memory, and control never notices.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple, NoReturn

from voiced.errors import RemoteProtocolError
from voiced.messages.audio import DeviceAbsent, OpenDevice
from voiced.messages.framing import Attach, Decoder, encode


class Renewal(NamedTuple):
    """Everything that such a process knows."""

    attach: Attach
    wanted: OpenDevice
    absent: DeviceAbsent
    """What control was last told."""


def renew(control_fd: int, known: Renewal) -> NoReturn:
    """Replace the program of this process; the descriptors stay open."""
    told = b"".join(encode(message) for message in known).hex()
    program = [sys.executable, "-m", "voiced.audio", "--control-fd", str(control_fd)]
    sys.stderr.flush()
    os.execv(sys.executable, [*program, "--again", told])


def remember(told: str) -> Renewal:
    """Return what the program before this one knew."""
    decoder: Decoder[Attach | OpenDevice | DeviceAbsent] = Decoder(
        Attach | OpenDevice | DeviceAbsent  # type: ignore[arg-type]
    )
    match list(decoder.receive(bytes.fromhex(told))):
        case [Attach() as attach, OpenDevice() as wanted, DeviceAbsent() as absent]:
            return Renewal(attach, wanted, absent)
        case _:
            raise RemoteProtocolError("this program was started anew with something else")
