"""A pedal with a lamp, as a program of its own: virtual ports on JACK.

`python -m tests.midi.pedal`: each line of hex on stdin is sent, each lamp message is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from subprocess import PIPE, Popen

CLIENT = "Stomp"
PORT = f"{CLIENT}:FS-1"
DOWN, UP = bytes([0xB0, 64, 127]), bytes([0xB0, 64, 0])


class Pedal:
    """The program, driven from a test. `env` tells libjack which server."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._process = Popen(
            [sys.executable, "-m", "tests.midi.pedal"], env=dict(env), stdin=PIPE, stdout=PIPE
        )
        assert self.line() == "plugged in"

    def send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message.hex().encode() + b"\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """Return the next line it prints: a lamp message in hex. Blocks; "" once it is gone."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def unplug(self) -> None:
        """Take it away, the way a cable does: without a word."""
        self._process.kill()
        self._process.communicate()

    close = unplug


def main() -> None:
    import rtmidi

    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=CLIENT)
    out.open_virtual_port("FS-1")
    lamps = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=f"{CLIENT} lamps")
    lamps.set_callback(lambda event, _: print(bytes(event[0]).hex(), flush=True))
    lamps.open_virtual_port("FS-1")
    print("plugged in", flush=True)
    for line in sys.stdin:
        out.send_message(list(bytes.fromhex(line)))


if __name__ == "__main__":
    main()
