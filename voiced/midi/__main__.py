"""`python -m voiced.midi --control-fd N`: started by control; `--list` prints the ports."""

from __future__ import annotations

import argparse
import os
import select
import socket
import sys
import threading
import time
from typing import Final

from voiced.errors import ExitCode, RemoteProtocolError
from voiced.messages.framing import Decoder, Hello, Message, Shutdown, encode
from voiced.messages.midi import ListenTo, MidiReceived, PortNames, SendMidi, ToMidi
from voiced.midi.ports import MidiUnavailable, Names, Ports, ServerGone

SCAN_S: Final = 1.0
"""No system for MIDI tells when a port comes or goes: the names are read this often."""


class Process:
    """The ports, and the channel to control.

    Args:
        sock: the channel.
        backend: see `Ports`.
    """

    def __init__(self, sock: socket.socket, backend: str) -> None:
        self._sock = sock
        self._ports = Ports(backend)
        self._decoder: Decoder[ToMidi] = Decoder(ToMidi)  # type: ignore[arg-type]
        self._wanted: tuple[str, ...] = ()
        self._names = Names()
        self._trouble = ""
        self._refused: set[str] = set()
        # rtmidi's threads and this one share the channel; a message must not be cut by another.
        self._sending = threading.Lock()

    def run(self) -> ExitCode:
        """Serve until control says or closes, or the MIDI server is gone."""
        self._send(Hello(pid=os.getpid()))
        due = time.monotonic()
        try:
            while True:
                wait = due - time.monotonic()
                if wait <= 0:
                    self._look()
                    due = time.monotonic() + SCAN_S
                    continue
                if select.select([self._sock], [], [], wait)[0] and not self._serve():
                    self._ports.keep((), ())
                    return ExitCode.DONE
        except ServerGone:
            return ExitCode.DEVICE_LOST
        except OSError:
            return ExitCode.CONTROL_GONE
        except RemoteProtocolError:
            return ExitCode.PROTOCOL

    def _serve(self) -> bool:
        data = self._sock.recv(65536)
        for message in self._decoder.receive(data):
            match message:
                case ListenTo(inputs=inputs):
                    self._wanted = inputs
                    self._refused.clear()
                    self._listen()
                    self._tell()
                case SendMidi(output=output, message=body):
                    self._ports.send(output, body)
                case Shutdown():
                    return False
                case Hello():
                    pass
        return bool(data)

    def _look(self) -> None:
        self._trouble = ""
        try:
            self._names = self._ports.scan()
        except MidiUnavailable as error:
            self._names, self._trouble = Names(), str(error)
        self._refused &= set(self._names.inputs)
        self._listen()
        self._tell()

    def _listen(self) -> None:
        there = [port for port in self._wanted if port in self._names.inputs]
        self._ports.keep(there, self._names.outputs)
        for port in there:
            if port in self._ports.listening or port in self._refused:
                continue
            try:
                self._ports.listen(port, lambda body, port=port: self._received(port, body))  # type: ignore[misc]
            except MidiUnavailable as error:
                self._refused.add(port)
                self._trouble = str(error)

    def _tell(self) -> None:
        self._send(
            PortNames(
                inputs=self._names.inputs,
                outputs=self._names.outputs,
                listening=self._ports.listening,
                sentence=self._trouble,
            )
        )

    def _received(self, port: str, body: list[int]) -> None:
        self._send(MidiReceived(input=port, message=bytes(body)))

    def _send(self, message: Message) -> None:
        with self._sending:
            self._sock.sendall(encode(message))


def _list(backend: str) -> ExitCode:
    try:
        names = Ports(backend).scan()
    except MidiUnavailable as error:
        print(error)
        return ExitCode.UNAVAILABLE
    for direction, ports in (("in", names.inputs), ("out", names.outputs)):
        for port in ports:
            print(f"{direction:4}{port}")
    return ExitCode.DONE


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="voiced.midi")
    parser.add_argument("--control-fd", type=int)
    parser.add_argument("--backend", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        sys.exit(_list(args.backend))
    if args.control_fd is None:
        parser.error("this program is started by voiced itself; --list prints the ports")
    status = Process(socket.socket(fileno=args.control_fd), args.backend).run()
    # Not sys.exit: libraries of a server that died crash or hang while they are taken down.
    os._exit(status)


if __name__ == "__main__":
    main()
