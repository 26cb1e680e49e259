"""`voiced devices`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any, Final

import msgspec

from voiced.errors import DeviceError, ExitCode

_PROBE: Final = "voiced.cli.sound"
_ANSWER_S: Final = 20


class Device(msgspec.Struct, frozen=True):
    """One device of the host, as PortAudio tells it."""

    name: str
    host_api: str
    inputs: int
    outputs: int
    samplerate: float
    default: str
    """"in", "out", "in out" or ""."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", choices=["list", "test"], nargs="?", default="list")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--input", default="", help="test: name or part of it")
    parser.add_argument("--output", default="", help="test: name or part of it")
    parser.add_argument("--seconds", type=float, default=2.0, help="test: how long, default 2")


def run(args: argparse.Namespace) -> int:
    """List the devices, or play a tone and show the level."""
    if args.what == "test":
        return _test(args)
    devices = listed()
    if args.json:
        print(json.dumps([msgspec.structs.asdict(device) for device in devices], indent=1))
    else:
        for device in devices:
            default = f"  default {device.default}" if device.default else ""
            rate = f"{device.samplerate:g} Hz"
            print(
                f"{device.name:44}{device.host_api:12}{device.inputs:3} in {device.outputs:3} out  "
                f"{rate:9}{default}"
            )
    if not devices:
        print('there is no sound device: `voiced demo` and audio.backend = "virtual" need none')
    return ExitCode.DONE if devices else ExitCode.UNAVAILABLE


def listed() -> list[Device]:
    """Return the host's devices.

    Raises:
        DeviceError: the sound library is missing or does not answer.
    """
    return msgspec.convert(_probe("list"), list[Device])


def _test(args: argparse.Namespace) -> int:
    report = _probe("test", args.input, args.output, str(args.seconds))
    peak = float(report["peak_dbfs"])
    print(f"played a tone to {report['output']}; heard {report['input']} at {peak:.0f} dBFS peak")
    if peak < -90:
        print("that is silence: is the microphone plugged in, unmuted, and the right one?")
        return ExitCode.FAILED
    if peak > -1:
        print("that is too loud: turn the microphone's gain down")
        return ExitCode.FAILED
    return ExitCode.DONE


def _probe(*words: str) -> Any:
    # A program of its own: sound libraries write to stderr, and hang when their servers die.
    try:
        told = subprocess.run(
            [sys.executable, "-m", _PROBE, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWER_S,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            "the sound system does not answer: restart the sound server (PipeWire, PulseAudio, "
            "JACK)"
        ) from None
    try:
        answer = json.loads(told.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise DeviceError("the sound library gave no answer: pip install --force-reinstall "
                          "sounddevice") from None  # fmt: skip
    if isinstance(answer, dict) and "error" in answer:
        raise DeviceError(str(answer["error"]))
    return answer
