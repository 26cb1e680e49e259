"""Children with one bad habit each: `python -m tests.control.programs HABIT --control-fd N`.

They use the real messages and shared memory; unrealistic is that they do no work.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from voiced.lane.words import DeviceSegment, Owner
from voiced.messages.audio import DeviceAbsent
from voiced.messages.framing import Attach, Decoder, Hello, Message, Shutdown, encode


def main() -> None:
    habit = os.environ["HABIT"]
    sock = socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1]))
    if habit == "crash":
        sys.exit(3)
    if habit == "liar":
        sock.sendall(encode(DeviceAbsent(sentence="I did not say Hello")))
        time.sleep(60)
    if habit == "babble":
        sock.sendall(b"\xff" * 100)
        time.sleep(60)
    if habit == "old":
        sock.sendall(encode(Hello(version=0, pid=os.getpid())))
        time.sleep(60)
    if habit == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sock.sendall(encode(Hello(pid=os.getpid())))
    decoder: Decoder[Message] = Decoder(Hello | Attach | Shutdown)  # type: ignore[arg-type]
    device: DeviceSegment | None = None
    sock.settimeout(0.1)
    while True:
        if device is not None:
            device.stamp(Owner.AUDIO)
        try:
            received = sock.recv(65536)
        except TimeoutError:
            continue
        if not received:
            sys.exit(18)
        for message in decoder.receive(received):
            match message:
                case Attach():
                    device = DeviceSegment(message.device_fd)
                    device.stamp(Owner.AUDIO)
                    sock.sendall(encode(DeviceAbsent(sentence="attached")))
                    if habit == "hang":
                        time.sleep(60)
                    if habit == "close":
                        sock.close()
                        time.sleep(60)
                case Shutdown() if habit != "stubborn":
                    sock.sendall(encode(DeviceAbsent(sentence="last word")))
                    sys.exit(0)


if __name__ == "__main__":
    main()
