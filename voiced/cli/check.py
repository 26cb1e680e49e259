"""`voiced check`: is this machine ready for the show? Each failing line ends with its fix."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from voiced.cli import devices, profiles, scripts, tools
from voiced.cli.finding import Finding, Verdict
from voiced.cli.finding import bad as _bad
from voiced.cli.finding import good as _good
from voiced.control.config import Config, find, parse, read_text, state_dir_of
from voiced.control.key_command import complete, options_for
from voiced.control.keys import SERVERS, find_keys
from voiced.control.osc.client import Client
from voiced.errors import ConfigError, DeviceError, ExitCode, VoicedError
from voiced.lane.seam import hide_memory

_FREE_BYTES: Final = 1_000_000_000
_BUILT_AFTER: Final = 1_790_000_000
"""Unix seconds in 2026: a clock before this was never set."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--config", metavar="FILE", default="", help="as for `voiced run`")
    parser.add_argument("--online", action="store_true", help="also ask the services for the keys")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Look at everything, one line a matter."""
    # It reads the keys, and asks the services with them.
    hide_memory()
    findings = []
    options = options_for(args.config)
    for found in _all(args):
        finding = msgspec.structs.replace(found, fix=complete(found.fix, options))
        findings.append(finding)
        if not args.json:
            fix = f" -> {finding.fix}" if finding.fix else ""
            print(
                f"{finding.verdict.value:5}{finding.matter:11}{finding.sentence}{fix}", flush=True
            )
    if args.json:
        print(json.dumps(msgspec.to_builtins(findings), indent=1))
    bad = [finding for finding in findings if finding.verdict is Verdict.BAD]
    if any(finding.matter == "config" for finding in bad):
        return ExitCode.CONFIG
    return ExitCode.FAILED if bad else ExitCode.DONE


def _all(args: argparse.Namespace) -> Iterator[Finding]:
    config, path, findings = _config(args.config)
    yield from findings
    state_dir = state_dir_of(config, os.environ)
    matters: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _sound(config),
        _realtime,
        lambda: _midi(config),
        lambda: _keys(state_dir),
        lambda: tools.findings(config, path.resolve().parent if path else Path.cwd()),
        lambda: scripts.findings(config, path.resolve().parent if path else Path.cwd()),
        lambda: _ports(config),
        lambda: _targets(config),
        lambda: _folders(config, path, state_dir),
        lambda: profiles.findings(config, path.resolve().parent if path else Path.cwd(), state_dir),
        _clock,
        _unit,
    )
    for matter in matters:
        yield from matter()
    if args.online:
        from voiced.cli import online

        folder = path.resolve().parent if path is not None else Path.cwd()
        yield from online.findings(config, folder, state_dir)


def _config(named: str) -> tuple[Config, Path | None, list[Finding]]:
    path = None
    try:
        path = find(named, os.environ)
        config = Config() if path is None else parse(read_text(path), str(path))
    except ConfigError as error:
        fix = "mend the file; config/voiced.toml shows every key"
        return Config(), path, [
            Finding(matter="config", verdict=Verdict.BAD, sentence=problem, fix=fix)
            for problem in error.problems
        ]  # fmt: skip
    where = "built in; no file was found" if path is None else str(path)
    return config, path, [Finding(matter="config", verdict=Verdict.GOOD, sentence=where)]


def _sound(config: Config) -> Iterator[Finding]:
    if config.audio.backend == "virtual":
        yield _good("devices", "the virtual card: no sound card is used")
        return
    try:
        found = devices.listed()
    except DeviceError as error:
        what, _, fix = str(error).partition(": ")
        yield _bad("devices", what, fix)
        return
    for direction, wanted in (("in", config.audio.input), ("out", config.audio.output)):
        channels = {"in": "inputs", "out": "outputs"}[direction]
        able = [device for device in found if getattr(device, channels)]
        match = [
            device
            for device in able
            if (wanted.lower() in device.name.lower() if wanted else direction in device.default)
        ]
        matter = f"audio {direction}"
        if wanted == "-":
            yield _good(matter, "none wanted")
        elif not match:
            names = ", ".join(device.name for device in able) or "none"
            yield _bad(
                matter,
                f"no device {wanted!r}" if wanted else "no default device",
                f"plug it in, or set audio.{direction}put; there are: {names}",
            )
        else:
            device = match[0]
            yield _good(matter, f"{device.name} ({device.host_api})")
            if device.samplerate != config.audio.samplerate:
                yield Finding(
                    matter="rate",
                    verdict=Verdict.NOTE,
                    sentence=f"{device.name} runs at {device.samplerate:g} Hz by itself, "
                    f"audio.samplerate is {config.audio.samplerate}: the sound server resamples",
                )


def _realtime() -> Iterator[Finding]:
    for matter, limit, enough, unit in (
        ("realtime", "RLIMIT_RTPRIO", 5, "rtprio 95"),
        ("memlock", "RLIMIT_MEMLOCK", 256 * 1024 * 1024, "memlock unlimited"),
    ):
        if not hasattr(resource, limit):
            continue
        soft, _ = resource.getrlimit(getattr(resource, limit))
        allowed = soft == resource.RLIM_INFINITY or soft >= enough or os.geteuid() == 0
        if allowed:
            yield _good(matter, "allowed")
        else:
            yield Finding(
                matter=matter,
                verdict=Verdict.NOTE,
                sentence="not allowed: under load the sound may crackle",
                fix=f'add "@audio - {unit}" to /etc/security/limits.d/audio.conf, join group '
                "audio, log in again; systemd/voiced.service does it by itself",
            )


def _midi(config: Config) -> Iterator[Finding]:
    if not config.midi.bind:
        yield _good("midi", "no bindings, none needed")
        return
    told = subprocess.run(
        [sys.executable, "-m", "voiced.midi", "--list"], capture_output=True, text=True, timeout=20
    )
    if told.returncode:
        said = told.stdout.strip() or "the MIDI system does not answer"
        what, _, rest = said.partition(" (")
        fix, _, goes_on = rest.partition(")")
        yield _bad("midi", what + goes_on, fix or "see `voiced midi`")
        return
    from voiced.control.midi_map import matches

    ports = [line[4:] for line in told.stdout.splitlines() if line.startswith("in")]
    for binding in config.midi.bind:
        if any(matches(binding.port, port) for port in ports):
            yield _good("midi", f"{binding}")
        else:
            names = ", ".join(ports) or "none"
            yield _bad("midi", f"no port for {binding}", f"plug it in; there are: {names}")


def _keys(state_dir: Path) -> Iterator[Finding]:
    found, problems = find_keys(state_dir, os.environ)
    for problem in problems:
        yield _bad("keys", problem, "chmod 600 the file and own it")
    have = {key.server: key.source for key in found}
    for server in SERVERS:
        if server in have:
            yield _good("keys", f"{server}: from its {have[server]}")
    if not have:
        yield _good("keys", "none; the provider `local` needs none")


def _ports(config: Config) -> Iterator[Finding]:
    version = _running(config)
    if version:
        yield _good("ports", f"voiced {version} answers at {config.osc.bind}:{config.osc.port}")
        return
    for kind, word in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        family = socket.AF_INET6 if ":" in config.osc.bind else socket.AF_INET
        with socket.socket(family, kind) as sock:
            if kind is socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((config.osc.bind, config.osc.port))
            except OSError as error:
                yield Finding(
                    matter="ports",
                    verdict=Verdict.NOTE,
                    sentence=f"{word} {config.osc.bind}:{config.osc.port}: {error.strerror}",
                    fix="something else has it: end that, or change osc.port",
                )
            else:
                yield _good("ports", f"{word} {config.osc.bind}:{config.osc.port} is free")


def _running(config: Config) -> str:
    """Return the version of the voiced that answers at the configured door; "" where none does."""
    if config.osc.port == 0:
        return ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.osc.bind, config.osc.bind)
    try:
        with Client(host, config.osc.port) as client:
            return str(client.ask("/voiced/status")[0])
    except VoicedError:
        return ""


def _targets(config: Config) -> Iterator[Finding]:
    for target in config.osc.targets:
        try:
            socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
        except OSError:
            yield _bad("targets", f"{target.host} has no address", "mend osc.targets, or the DNS")
        else:
            yield _good("targets", f"{target.host}:{target.port}")


def _folders(config: Config, path: Path | None, state_dir: Path) -> Iterator[Finding]:
    place = state_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        yield _bad(
            "folders", f"{state_dir} cannot be written", "chown it, or set storage.state_dir"
        )
    else:
        yield _good("folders", f"{state_dir}")
    base = path.parent if path is not None else Path.cwd()
    for root in config.storage.roots:
        if not (base / Path(root).expanduser()).is_dir():
            yield _bad("folders", f"there is no folder {root}", "make it, or mend storage.roots")
    free = shutil.disk_usage(place).free
    if free < _FREE_BYTES:
        yield _bad("disk", f"{free / 1e6:.0f} MB are free", "make room: traces and recordings grow")
    else:
        yield _good("disk", f"{free / 1e9:.0f} GB are free")


def _clock() -> Iterator[Finding]:
    if time.time() < _BUILT_AFTER:
        yield _bad("clock", f"it shows {time.strftime('%Y-%m-%d')}", "timedatectl set-ntp true")
        return
    told = _asked("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    if told == "no":
        yield Finding(
            matter="clock",
            verdict=Verdict.NOTE,
            sentence="it is not synchronised: traces and the day's budget go by it",
            fix="timedatectl set-ntp true",
        )
    else:
        yield _good("clock", time.strftime("%Y-%m-%d %H:%M:%S %z"))


def _unit() -> Iterator[Finding]:
    for scope, name in ((["--user"], "voiced-user"), ([], "voiced")):
        state = _asked("systemctl", *scope, "is-enabled", name)
        if state == "enabled":
            yield _good("unit", f"{name} starts with the machine")
            return
    yield Finding(
        matter="unit",
        verdict=Verdict.NOTE,
        sentence="no unit is enabled: nothing starts voiced when the machine does",
        fix="the steps stand at the top of systemd/voiced-user.service",
    )


def _asked(*command: str) -> str:
    """Return what a system tool says; "" where there is none."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip()
