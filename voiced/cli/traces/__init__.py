"""`voiced traces list, show, export, forget`."""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from voiced.cli.traces.formats import LISTED, SHOWN, SUFFIX, row_count
from voiced.control.archive import (
    Damaged,
    Past,
    Standing,
    agent_folders,
    conversations,
    erase,
    files_of,
    stem_of,
)
from voiced.control.config import Config, find, parse, read_text, state_dir_of
from voiced.control.config.values import first_values
from voiced.control.files import replace_file
from voiced.control.instance import is_held
from voiced.control.state import FILE as STATE_FILE
from voiced.control.state import State
from voiced.errors import ExitCode, VoicedError

LAST: Final = "last"
_AGO: Final = re.compile(r"(\d+)\s*([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_YES: Final = ("y", "yes")
_SESSION: Final = f'the Sessionid, the beginning of one, or "{LAST}"'


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="a line for each conversation")
    _which(listing)
    listing.add_argument("--format", choices=list(LISTED), default="text", help="default text")
    show = actions.add_parser("show", help="one conversation")
    show.add_argument("session", nargs="?", default=LAST, metavar="SESSION", help=_SESSION)
    _which(show)
    show.add_argument("--format", choices=list(SHOWN), default="text", help="default text")
    export = actions.add_parser("export", help="conversations into files")
    export.add_argument("session", nargs="*", metavar="SESSION", help=_SESSION)
    _which(export)
    export.add_argument("--format", choices=list(SHOWN), default="json", help="default json")
    export.add_argument("--out", default=".", metavar="DIR", help="default: this folder")
    forget = actions.add_parser("forget", help="erase conversations and their recordings")
    forget.add_argument("session", nargs="*", metavar="SESSION", help=_SESSION)
    _which(forget)
    forget.add_argument("--yes", action="store_true", help="do not ask")


def _which(parser: argparse.ArgumentParser) -> None:
    """Declare where conversations are and which are meant."""
    parser.add_argument("--agent", metavar="A", help="of this agent")
    parser.add_argument(
        "--since",
        type=_since,
        metavar="WHEN",
        help="begun then or later: 2026-11-23, 2026-11-23T18:30, or 2d (ago)",
    )
    parser.add_argument("--until", type=_until, metavar="WHEN", help="begun then or before")
    parser.add_argument(
        "--grep", type=_pattern, metavar="RE", help="with this said in them, in any case of letters"
    )
    parser.add_argument("--config", metavar="FILE", default="", help="as for `voiced run`")
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        default="",
        help="the state folder, instead of the configuration's",
    )


def run(args: argparse.Namespace) -> int:
    """Do it; 1 where something could not be read or done."""
    found = _Found(args)
    if args.action == "list" or args.session in ([], LAST):
        found.tell_damaged()
    match args.action:
        case "list":
            matching = found.matching()
            sys.stdout.write(LISTED[args.format](matching))
            if not matching:
                print(f"voiced: {found.nothing}", file=sys.stderr)
        case "show":
            sys.stdout.write(SHOWN[args.format](found.named(args.session)))
        case "export":
            meant = found.meant(args.session)
            _export(meant, args.format, Path(args.out))
            if not meant:
                print(f"voiced: {found.nothing}", file=sys.stderr)
        case _:
            if not args.session and not any((args.agent, args.since, args.until, args.grep)):
                print("voiced: name what to forget: a SESSION, or a filter such as --until 30d",
                      file=sys.stderr)  # fmt: skip
                return ExitCode.USAGE
            return max(_forget(found.meant(args.session), ask=not args.yes), found.status)
    return found.status


class _Found:
    """What there is, read once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._damaged: list[Damaged] = []
        self.status = ExitCode.DONE
        self._all = sorted(self._read(), key=lambda past: (_began(past), past.stem))

    def _read(self) -> Iterator[Past]:
        folders, self._state_dir = _places(self._args)
        running = is_held(self._state_dir)
        for folder in folders:
            for found in conversations(folder, running=running):
                if isinstance(found, Past):
                    yield found
                else:
                    self._damaged.append(found)

    @property
    def nothing(self) -> str:
        """Say why there is nothing: another folder was meant, or the filters leave nothing."""
        if self._all:
            return f"none of {_count(self._all)} is meant by this"
        return (
            f"there is no conversation in {self._state_dir}: --config or --state-dir name another"
        )

    def tell_damaged(self) -> None:
        """Name the files that are no conversations: what is asked for may be among them."""
        for damaged in self._damaged:
            self.status = ExitCode.FAILED
            print(f"voiced: {damaged.sentence}", file=sys.stderr)

    def matching(self) -> list[Past]:
        """Return what the filters leave, oldest first."""
        return [past for past in self._all if _matches(past, self._args)]

    def meant(self, names: Sequence[str]) -> list[Past]:
        """Return the named ones, or without names what the filters leave."""
        return [self.named(name) for name in names] if names else self.matching()

    def named(self, name: str) -> Past:
        """Return the one that a name means, among what the filters leave.

        Raises:
            VoicedError: none, or more than one.
        """
        among = self.matching()
        stem = stem_of(Path(name))
        if name == LAST:
            found = among[-1:]
        else:
            found = [past for past in among if past.stem == stem] or [
                past for past in among if past.stem.startswith(stem)
            ]
        if len(found) == 1:
            return found[0]
        if found:
            raise VoicedError(f"{len(found)} conversations begin with {name}: write more of it")
        for damaged in self._damaged:
            if name != LAST and stem_of(damaged.path).startswith(stem):
                raise VoicedError(damaged.sentence)
        raise VoicedError(f"there is no conversation {name} here: `voiced traces list` shows all")


def _places(args: argparse.Namespace) -> tuple[list[Path], Path]:
    """Return every folder that conversations may be in, and the state folder."""
    if args.state_dir:
        state_dir = Path(args.state_dir).expanduser()
        return agent_folders(state_dir) + _kept_folders(state_dir), state_dir
    path = find(args.config, os.environ)
    config = Config() if path is None else parse(read_text(path), str(path))
    base = Path.cwd() if path is None else path.parent
    state_dir = state_dir_of(config, os.environ)
    named = [
        Path(str(value))
        for agent in config.agent
        for (page, name), value in first_values(config, agent.name, base).items()
        if (page, name) == ("par", "Sessiontracedir") and value
    ]
    every = [*agent_folders(state_dir), *_kept_folders(state_dir), *named]
    return list(dict.fromkeys(every)), state_dir


def _kept_folders(state_dir: Path) -> list[Path]:
    """Return the folders that Sessiontracedir was set to at run time."""
    try:
        state = msgspec.json.decode((state_dir / STATE_FILE).read_bytes(), type=State)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    kept = (pages.get("par", {}).get("Sessiontracedir") for pages in state.values.values())
    present = [str(each.value) for each in kept if each is not None and each.value]
    return [Path(each) for each in dict.fromkeys([*present, *state.folders])]


# --- which ones


def _began(past: Past) -> float:
    """Return when it began, Unix seconds; 0 where it does not say."""
    try:
        return datetime.datetime.fromisoformat(past.trace.started).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _matches(past: Past, args: argparse.Namespace) -> bool:
    if args.agent and past.trace.agent != args.agent:
        return False
    if args.since is not None and _began(past) < args.since:
        return False
    if args.until is not None and _began(past) > args.until:
        return False
    return args.grep is None or any(args.grep.search(row.message) for row in past.trace.transcript)


def _since(text: str) -> float:
    return _moment(text, datetime.time.min)


def _until(text: str) -> float:
    return _moment(text, datetime.time.max)


def _moment(text: str, of_day: datetime.time) -> float:
    """Return Unix seconds; a day without a time means `of_day` of it, local time."""
    ago = _AGO.fullmatch(text.strip())
    now = datetime.datetime.now().astimezone()
    try:
        if ago:
            return (now - datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            return datetime.datetime.fromisoformat(text).timestamp()
        return datetime.datetime.combine(day, of_day).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2026-11-23, 2026-11-23T18:30, or how long ago: 30m 12h 7d"
        ) from None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no regular expression: {error}; a backslash before it takes a character "
            "as it is"
        ) from None


# --- what is done with them


def _export(every: Iterable[Past], form: str, folder: Path) -> None:
    """Write a file for each; none is written over.

    Raises:
        VoicedError: one is there already.
    """
    for past in every:
        target = folder / f"{past.stem}.{SUFFIX.get(form, form)}"
        if target.exists():
            raise VoicedError(f"{target} is there already: move it away, or name another --out")
        replace_file(target, SHOWN[form](past).encode())
        print(target)


def _forget(every: Sequence[Past], *, ask: bool) -> int:
    """Erase; a running session is never touched."""
    running = [past for past in every if past.standing is Standing.RUNNING]
    for past in running:
        print(f"voiced: {past.stem} still runs: `voiced pulse Forget` erases it, or pulse "
              "Disconnect first", file=sys.stderr)  # fmt: skip
    doomed = [past for past in every if past not in running]
    if not doomed:
        if not running:
            print("nothing to forget")
        return ExitCode.FAILED if running else ExitCode.DONE
    if ask:
        for past in doomed:
            print(f"{past.stem}  {past.trace.agent}, {row_count(len(past.trace.transcript))}")
        if not _agreed(f"erase {_count(doomed)} for good, recordings too? [y/N] "):
            print("voiced: nothing was forgotten: answer y, or give --yes", file=sys.stderr)
            return ExitCode.FAILED
    for past in doomed:
        erase(files_of(past.path.parent, past.stem))
    print(f"forgot {_count(doomed)}")
    return ExitCode.FAILED if running else ExitCode.DONE


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in _YES
    except EOFError:
        print()
        return False


def _count(every: Sequence[Past]) -> str:
    return f"{len(every)} conversation{'' if len(every) == 1 else 's'}"
