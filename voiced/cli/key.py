"""`voiced key set|list|remove SERVER`: API keys, kept where the service reads them, never shown."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Final

from voiced.control.config import Config, find, parse, read_text, state_dir_of
from voiced.control.instance import running
from voiced.control.key_command import options_for
from voiced.control.keys import (
    MAX_KEY,
    SERVERS,
    FoundKey,
    all_keys,
    forget_key,
    is_server,
    keep_key,
    key_file,
)
from voiced.control.web import TOKEN
from voiced.errors import ExitCode, VoicedError
from voiced.lane.seam import hide_memory

SYSTEM_FOLDER: Final = Path("/etc/voiced/keys")
"""What the system unit loads its credentials from."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    verbs = parser.add_subparsers(dest="what", metavar="set|list|remove", required=True)
    for name, text in (
        ("set", "keep a key: typed without being shown, or from stdin"),
        ("list", "which servers have a key, from where, and whether it is used"),
        ("remove", "remove a kept key"),
    ):
        sub = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == "list":
            sub.add_argument("--json", action="store_true", help="for programs")
        else:
            known = ", ".join(SERVERS)
            others = f"{known}, {TOKEN}, or a drop-in's own"
            sub.add_argument("server", metavar="SERVER", help=others)
        if name == "set":
            # Taken, so that argparse does not print it.
            sub.add_argument("given", nargs="*", help=argparse.SUPPRESS)
        sub.add_argument("--config", metavar="FILE", default="", help="as for `voiced run`")
        sub.add_argument(
            "--state-dir", metavar="DIR", default="", help="in place of storage.state_dir"
        )
        sub.add_argument(
            "--system",
            action="store_true",
            help=f"the system unit's keys, in {SYSTEM_FOLDER} (as root)",
        )


def run(args: argparse.Namespace) -> int:
    """Do it; a running voiced is told."""
    hide_memory()
    named = args.state_dir
    state_dir = Path(named) if named else state_dir_of(_config(args.config), os.environ)
    if args.what == "list":
        return _list(state_dir, args)
    _check_server(args.server, args.config)
    path = SYSTEM_FOLDER / args.server if args.system else key_file(state_dir, args.server)
    if args.what == "remove":
        if not forget_key(path):
            raise VoicedError(f"there is no key file {path}")
        print(f"removed {path}")
    else:
        if args.given:
            raise VoicedError(
                "a key is not given on the command line: it would stand in the shell's history and "
                "in the list of processes. Run "
                f"`voiced key set {args.server}{_options(args)}` and type it; better "
                "have the service make a new one, this one was shown"
            )
        keep_key(path, _typed(args.server))
        print(f"kept in {path}")
    _tell(state_dir, args)
    _tell_what_counts(state_dir, args)
    return ExitCode.DONE


def _options(args: argparse.Namespace) -> str:
    """Return the options that a command for the same daemon needs."""
    state_dir = f" --state-dir {shlex.quote(args.state_dir)}" if args.state_dir else ""
    return options_for(args.config) + state_dir + (" --system" if args.system else "")


def _config(named: str) -> Config:
    path = find(named, os.environ)
    return Config() if path is None else parse(read_text(path), str(path))


def _check_server(name: str, config: str) -> None:
    """Refuse a server that no provider has: nobody would ever read its key."""
    if name in (*SERVERS, TOKEN):
        return
    from voiced.cli.providers import catalogue
    from voiced.parameters import nearest

    known = dict.fromkeys(
        [*SERVERS, TOKEN, *(card.key_server for card in catalogue(config) if card.key_server)]
    )
    if name not in known or not is_server(name):
        # Not repeated: it may be the key.
        hint = nearest(name, known)
        raise VoicedError(
            f"there is no key server of that name; there are {', '.join(known)}.{hint}"
        )


def _typed(server: str) -> str:
    """Return the key from stdin; a person types it unseen."""
    if sys.stdin.isatty():
        return getpass.getpass(f"key for {server} (it is not shown): ").strip()
    return sys.stdin.read(MAX_KEY + 2).strip()


def _list(state_dir: Path, args: argparse.Namespace) -> int:
    environment = dict(os.environ)
    if args.system:
        # As the unit's credentials will be: the same files, one a server.
        environment["CREDENTIALS_DIRECTORY"] = str(SYSTEM_FOLDER)
    found, problems = all_keys(state_dir, environment)
    used = {key.server: key for key in reversed(found)}
    rows = [(key, used[key.server] is key) for key in found]
    if args.json:
        report = [
            {"server": key.server, "source": key.source, "place": key.place, "used": counts}
            for key, counts in rows
        ]  # fmt: skip
        print(json.dumps(report, indent=1))
    else:
        for key, counts in rows:
            print(f"{key.server:10}{key.source:13}{_verdict(key, counts, used):34}{key.place}")
        for server in SERVERS:
            if server not in used:
                print(f"{server:10}no key       voiced key set {server}{_options(args)}")
    for problem in problems:
        print(f"voiced: {problem}", file=sys.stderr)
    if any(key.source == "environment" and counts for key, counts in rows):
        print("voiced: the environment is this shell's; a service has its own", file=sys.stderr)
    elif not args.system and set(SERVERS) - set(used) and (daemon := running(state_dir)):
        print(
            f"voiced: the running voiced (process {daemon.pid}) may have more in its environment",
            file=sys.stderr,
        )
    return ExitCode.FAILED if problems else ExitCode.DONE


def _verdict(key: FoundKey, counts: bool, used: dict[str, FoundKey]) -> str:
    return "used" if counts else f"not used: the {used[key.server].source} comes first"


def _tell(state_dir: Path, args: argparse.Namespace) -> None:
    """Have a running voiced look for its keys, and say from when on the change counts."""
    if args.system:
        print("it counts from the next start on: systemctl restart voiced")
        return
    daemon = running(state_dir)
    if daemon is None:
        print("it counts from the next start on: no voiced runs on this state folder")
        if os.geteuid() == 0 and SYSTEM_FOLDER.is_dir():
            print(f"the system unit reads {SYSTEM_FOLDER}: for that, add --system")
        return
    try:
        os.kill(daemon.pid, signal.SIGHUP)
    except PermissionError:
        print(f"the running voiced (process {daemon.pid}) is another account's: reload it")
    else:
        print(
            f"the running voiced (process {daemon.pid}) was told: it counts from the next Connect"
        )


def _tell_what_counts(state_dir: Path, args: argparse.Namespace) -> None:
    """Say where another key of the same server comes first, or stays."""
    if args.system:
        return
    found, _ = all_keys(state_dir, os.environ)
    others = [key for key in found if key.server == args.server]
    if others and others[0].place != str(key_file(state_dir, args.server)):
        source = f"its {others[0].source} ({others[0].place})"
        print(f"note: {args.server} has a key from {source}, which counts", file=sys.stderr)
