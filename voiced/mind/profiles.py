"""Profiles and skills as their files say them: read, checked against the parameters, laid in order.

A profile is a JSON object of parameters by their names; a provider's own page is an object under
the provider's name. A skill is a JSON object whose Systemprompt is appended to the agent's. In
both, "about" says in words what the file is for.

Everything that is wrong with a file is told at once, a sentence each. A file with a problem is
damaged: it changes nothing, and what it said when it was last good stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from voiced.messages.network import Value
from voiced.mind.parameters import ENDPOINT, PAR, PER_PROVIDER, Parameters, Place
from voiced.parameters import ROWS, Coerced, Kind, Refusal, Row, coerce, expand, nearest

ABOUT = "about"
"""Key of both kinds of file: for whoever reads it."""
PROMPT = "Systemprompt"
LONGEST_NAME = 64
MOST_TOLD = 12
"""Problems of one file that are told; of more, how many there are."""
BARRED = frozenset({"Active", "Profile"})
"""What a profile must not move: the session itself, and which profiles there are."""

Scalar: TypeAlias = bool | int | float | str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a file."""

    page: str
    """"par", or the key it stands under."""
    name: str
    values: tuple[Scalar, ...]
    listed: bool = False
    """It stood in a list."""

    @property
    def key(self) -> str:
        """How the file names it."""
        return self.name if self.page == PAR else f"{self.page}.{self.name}"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a folder, read but not yet held against the parameters."""

    file: str
    """Its name in the folder: what the operator is told."""
    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    """Why it cannot be used, whatever the parameters are."""

    @property
    def name(self) -> str:
        """The profile's or skill's name."""
        return self.file.removesuffix(".json")


# --- reading


def parse(file: str, text: str) -> File:
    """Return what a file says, or what keeps it from saying anything."""
    problems = list(_name_problems(file.removesuffix(".json")))
    entries: list[Entry] = []
    try:
        content = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, problems),
            parse_constant=lambda word: _no_number(word, problems),
        )
    except json.JSONDecodeError as error:
        problems.append(_slip(error))
    except RecursionError:
        problems.append("it nests too deeply")
    except ValueError:
        problems.append("a number in it has too many digits")
    else:
        if isinstance(content, dict):
            entries = list(_entries(content, problems))
        else:
            problems.append('it must be an object: {"Systemprompt": "..."}')
    return File(file=file, entries=tuple(entries), problems=tuple(problems))


def _slip(error: json.JSONDecodeError) -> str:
    """Return where a file stops being JSON, and the slip of the hand that does it most often."""
    text, at, what = error.doc, error.pos, error.msg
    before = text[:at].rstrip()
    if text[at : at + 1] in ("}", "]") and before.endswith(","):
        at, what = len(before) - 1, "a comma too many: none stands behind the last entry"
    elif text[at : at + 1] == "," and text[at + 1 :].lstrip()[:1] in ("}", "]"):
        what = "a comma too many: none stands behind the last entry"
    elif what == "Expecting ',' delimiter":
        at, what = len(before), 'a comma is missing, or a " in a text lacks the \\ before it'
    elif what.startswith("Expecting property name"):
        what = "a name in double quotes is missing"
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}: {what}"


def _name_problems(name: str) -> Iterator[str]:
    if len(name) > LONGEST_NAME:
        yield f"its name is longer than {LONGEST_NAME} characters"
    if "," in name or not name.isprintable() or name != name.strip() or not name:
        yield "its name must do without commas, line breaks and blanks at its ends: rename it"


def _object(pairs: list[tuple[str, Any]], problems: list[str]) -> dict[str, Any]:
    """Make an object of its keys; one that stands there twice is a slip of the hand."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            problems.append(f"{_short(key)} stands there twice: which one counts?")
        made[key] = value
    return made


def _no_number(word: str, problems: list[str]) -> float:
    problems.append(f"{word} is no number that a parameter takes")
    return 0.0


def _entries(content: Mapping[str, Any], problems: list[str]) -> Iterator[Entry]:
    for key, value in content.items():
        if key == ABOUT:
            if not isinstance(value, str):
                problems.append(f"{ABOUT}: this must be a text")
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from _entry(key, name, inner, problems)
        else:
            yield from _entry(PAR, key, value, problems)


def _entry(page: str, name: str, value: Any, problems: list[str]) -> Iterator[Entry]:
    values = value if isinstance(value, list) else [value]
    if any(one is None or isinstance(one, dict | list) for one in values):
        key = _short(name) if page == PAR else f"{_short(page)}.{_short(name)}"
        what = "null is no value: leave the key out" if value is None else "this is no value"
        problems.append(f"{key}: {what}")
        return
    yield Entry(page=page, name=name, values=tuple(values), listed=isinstance(value, list))


# --- checking


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that can be laid over an agent's parameters."""

    name: str
    values: Mapping[Place, Value]
    """Model and Voice at ("par", ...) are for the provider in force where it is laid."""


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that can be appended to an agent's system prompt."""

    name: str
    text: str


def read_profile(file: File, parameters: Parameters) -> tuple[Profile, list[str]]:
    """Return a profile and everything that is wrong with it.

    Until the providers are known, what it says of their own pages is left out.
    """
    problems = list(file.problems)
    values: dict[Place, Value] = {}
    for entry in file.entries:
        page = parameters.pages().get(entry.page)
        if entry.page != PAR and page is None:
            if parameters.learned:
                known = [*ROWS, *parameters.pages()]
                what = f"there is no such provider.{nearest(entry.page, known)}"
                if entry.page in ROWS:
                    what = "a parameter takes a value, and no object of them"
                problems.append(f"{_short(entry.page)}: {what}")
            continue
        row = _row(entry, parameters, problems)
        if row is not None:
            _take(entry, row, parameters, values, problems)
    return Profile(name=file.name, values=values), list(dict.fromkeys(problems))


def read_skill(file: File, parameters: Parameters) -> tuple[Skill, list[str]]:
    """Return a skill and everything that is wrong with it."""
    problems = list(file.problems)
    text = ""
    for entry in file.entries:
        value = entry.values[0] if len(entry.values) == 1 else None
        if entry.key != PROMPT:
            problems.append(
                f"{_short(entry.key)}: a skill has a {PROMPT} only; see profiles."
                f"{nearest(entry.key, (PROMPT,))}"
            )
        elif entry.listed or not isinstance(value, str):
            problems.append(f"{PROMPT}: this must be a text")
        else:
            text = value.strip()
            refusal = coerce(ROWS[PROMPT], [text])
            if isinstance(refusal, Refusal):
                problems.append(f"{PROMPT}: {refusal.sentence}")
    if not text and not problems:
        problems.append(f"{PROMPT} is missing: it is what the skill adds to the agent's")
    return Skill(name=file.name, text=text), problems


def _row(entry: Entry, parameters: Parameters, problems: list[str]) -> Row | None:
    """Return the row that an entry sets; None, with a problem, where a profile may not."""
    if entry.page != PAR and entry.name == ENDPOINT:
        problems.append(f"{entry.key}: the key goes there, so the configuration file alone sets it")
        return None
    row = parameters.row(entry.page, entry.name)
    if row is None and entry.name in PER_PROVIDER:
        row = ROWS[entry.name]
    if row is None:
        known = [*ROWS] if entry.page == PAR else [*parameters.pages()[entry.page]]
        problems.append(
            f"{_short(entry.key)}: there is no such parameter.{nearest(entry.name, known)}"
        )
        return None
    why = _barred(row)
    if why:
        problems.append(f"{entry.key}: {why}")
        return None
    return row


def _barred(row: Row) -> str:
    """Return why no profile may set a parameter, "" where it may."""
    if row.secret:
        return "a key never stands in a profile; `voiced key set` takes it"
    if row.kind is Kind.PULSE:
        return "a pulse has no value"
    if row.kind in (Kind.FILE, Kind.FOLDER) or row.admin or row.config_only:
        return "a profile sets no files, folders or other things of the machine"
    if row.money:
        return "a profile sets no budgets"
    if row.kind is Kind.COLOR:
        return ""
    if not row.writable:
        return "it tells something and cannot be set"
    if row.name in BARRED or not row.persists:
        return "this is the operator's, a profile does not move it"
    return ""


def _take(
    entry: Entry, row: Row, parameters: Parameters, values: dict[Place, Value], problems: list[str]
) -> None:
    """Add what an entry sets, or what is wrong with it."""
    arguments = entry.values
    if entry.listed and row.listed:
        arguments = (",".join(str(one) for one in entry.values),)
    elif entry.listed and row.kind is not Kind.COLOR:
        problems.append(f"{entry.key}: this takes one value, not a list")
        return
    wanted = expand(row, arguments, ROWS)
    if isinstance(wanted, Refusal):
        problems.append(f"{entry.key}: {wanted.sentence}")
        return
    for part, (argument,) in wanted:
        outcome = _coerced(part, argument, entry.page, parameters)
        if isinstance(outcome, Refusal):
            problems.append(f"{entry.key}: {outcome.sentence}")
        elif outcome.adjusted and part.numeric:
            problems.append(f"{entry.key} = {_short(argument)}: must be {_allowed(part)}")
        else:
            values[entry.page, part.name] = outcome.value


def _coerced(row: Row, argument: Any, page: str, parameters: Parameters) -> Coerced | Refusal:
    if row.kind is not Kind.MENU:
        return coerce(row, [argument])
    if not isinstance(argument, str):
        return Refusal("bad_type", "this takes a name in quotes")
    options = parameters.options(page, row.name) if page == PAR else row.options
    if row.name == "Provider" and not parameters.learned:
        options = (*options, argument)  # which drop-ins there are is known later
    return coerce(row, [argument], options)


def _allowed(row: Row) -> str:
    if row.kind is Kind.TOGGLE:
        return "true or false"
    whole = "a whole number " if row.kind is Kind.INT else ""
    unit = f" {row.unit}" if row.unit else ""
    low = "" if row.minimum is None else f"from {row.minimum:g}"
    high = "" if row.maximum is None else f" to {row.maximum:g}"
    return f"{whole}{low}{high}{unit}".strip() or "within a number's range"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- keeping

Read = TypeVar("Read", Profile, Skill)


class Shelf(Generic[Read]):
    """What one folder holds: the good ones by name, and what is wrong with the others.

    Args:
        reads: makes a file into what it is for, with everything that is wrong.
    """

    def __init__(self, reads: Callable[[File, Parameters], tuple[Read, list[str]]]) -> None:
        self._reads: Callable[[File, Parameters], tuple[Read, list[str]]] = reads
        self._files: tuple[File, ...] = ()
        self.good: dict[str, Read] = {}
        """By name, in the order of names. Of a damaged file what it said when it was last good."""
        self.damaged: dict[str, str] = {}
        """Name -> what is wrong with its file, in one line."""
        self.blind = False
        """Some file was checked before the providers were known."""

    @property
    def names(self) -> tuple[str, ...]:
        """What can be chosen."""
        return tuple(self.good)

    def put(self, files: Iterable[File], parameters: Parameters) -> None:
        """Take what a folder holds now, in place of what it held."""
        self._files = tuple(files)
        before = {} if self.blind else self.good
        self.good, self.damaged, self.blind = {}, {}, not parameters.learned
        for file in self._files:
            one, problems = self._reads(file, parameters)
            if not problems:
                self.good[file.name] = one
                continue
            more = len(problems) - MOST_TOLD
            told = problems[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
            self.damaged[file.name] = "; ".join(told)
            if file.name in before:
                self.good[file.name] = before[file.name]

    def check_again(self, parameters: Parameters) -> None:
        """Hold the same files against parameters that have changed."""
        self.put(self._files, parameters)

    def why_not(self, name: str) -> str:
        """Return why a name cannot be chosen, "" where it can."""
        if name in self.good:
            return ""
        if name in self.damaged:
            return f"{name}.json cannot be used: {self.damaged[name]}."
        return f"There is no {name}.json in the folder.{nearest(name, self.good)}"


def names_in(text: object) -> list[str]:
    """Return the names in a comma separated list, each once, in its order."""
    names = (name.strip() for name in str(text).split(","))
    return list(dict.fromkeys(name for name in names if name))


def laid(profiles: Iterable[Profile], provider: str) -> dict[Place, Value]:
    """Return what profiles come to, each lying over those before it.

    Args:
        profiles: in order.
        provider: the one below them all: a Model without a Provider is for the one in force there.
    """
    values: dict[Place, Value] = {}
    for profile in profiles:
        provider = str(profile.values.get((PAR, "Provider"), provider))
        for (page, name), value in profile.values.items():
            own = page == PAR and name in PER_PROVIDER
            values[provider if own else page, name] = value
    return values
