"""A persona: who answers, and by which rules, from a TOML file.

Rules are tried in the order of the file; the first whose pattern is found in what the visitor said
answers. Its replies take turns, so the same question is not answered in the same words twice, and
nothing is random: the same conversation always goes the same way. A named group of a pattern fills
the slot of its name, for this reply and for the rest of the conversation. A reply with a slot that
is still empty is passed over, and a rule that has no other is, too.

```toml
name = "host"
[slots]
visitor = ""                # first values; "" is empty
[[rule]]
heard = ['my name is (?P<visitor>[a-z]+)']    # regular expressions, any case
replies = ["Pleased to meet you, {visitor}."]
call = ""                   # a tool to call with the reply, if the conversation has it
[[rule]]                    # the last rule hears everything
heard = ['']
replies = ["Tell me more."]
[tools]                     # what is said around tool calls: see `phrases`
done = ["Done."]
```
"""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from voiced.errors import ConfigError
from voiced.inference.phrases import Phrases
from voiced.messages.inference import Row

DEFAULT: Final = "host"
FOLDER: Final = Path(__file__).parent / "personas"
_LONGEST: Final = 600
"""Characters of what was said that patterns look at: the end counts."""
_TITLE_SLOTS: Final = frozenset({"visitor"})


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is heard, and what is answered."""

    heard: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Regular expressions, searched in lower case; "" hears everything."""
    replies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Taken in turn; {slot} is filled."""
    call: str = ""
    """Tool to call with the reply, if the conversation has it."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    slots: dict[str, str] = {}
    rule: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1)]
    tools: Phrases = Phrases()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a persona has to say."""

    text: str
    call: str = ""


class Persona:
    """The rules of one file, shared by every conversation that uses it."""

    def __init__(self, file: _File, source: str) -> None:
        self.name = file.name
        self.slots = file.slots
        self.phrases = file.tools
        self.rules: list[tuple[list[re.Pattern[str]], Rule]] = []
        problems = [f"{source}: {problem}" for problem in file.tools.problems()]
        known = set(file.slots)
        for number, rule in enumerate(file.rule, 1):
            try:
                patterns = [re.compile(pattern) for pattern in rule.heard]
            except re.error as error:
                problems.append(f"{source}: rule {number}: {error.pattern!r}: {error}")
                continue
            known.update(name for pattern in patterns for name in pattern.groupindex)
            self.rules.append((patterns, rule))
        for number, rule in enumerate(file.rule, 1):
            for reply in rule.replies:
                if wrong := _wrong_slot(reply, known):
                    problems.append(f"{source}: rule {number}: {reply!r}: {wrong}")
        if not any("" in rule.heard for _, rule in self.rules):
            problems.append(f"{source}: the last rule must hear everything: heard = ['']")
        if problems:
            raise ConfigError(problems)


class Talk:
    """One conversation with a persona: what it heard of the visitor, and what it said so far."""

    def __init__(self, persona: Persona) -> None:
        self._persona = persona
        self.phrases = persona.phrases
        self._slots = dict(persona.slots)
        self._used = [0] * len(persona.rules)

    def answer(self, said: str) -> Answer:
        """Return the answer to what the visitor said."""
        heard = _plain(said)
        for number, (patterns, rule) in enumerate(self._persona.rules):
            for pattern in patterns:
                match = pattern.search(heard)
                if match is None:
                    continue
                self._fill(match)
                reply = self._reply(number, rule)
                if reply is not None:
                    return Answer(text=reply, call=rule.call)
        return Answer(text="I see.")

    def prime(self, rows: tuple[Row, ...]) -> None:
        """Live through an older conversation, so that this one goes on where that one ended."""
        said: list[str] = []
        for row in rows:
            if row.role == "user":
                said.append(row.text)
            elif row.role == "assistant" and said:
                self.answer(" ".join(said))
                said = []

    def _fill(self, match: re.Match[str]) -> None:
        for slot, words in match.groupdict().items():
            if words:
                self._slots[slot] = words.title() if slot in _TITLE_SLOTS else words.strip()

    def _reply(self, number: int, rule: Rule) -> str | None:
        for _ in rule.replies:
            reply = rule.replies[self._used[number] % len(rule.replies)]
            self._used[number] += 1
            if all(self._slots.get(slot) for slot in _slots_of(reply)):
                return reply.format_map(self._slots)
        return None


def load(name: str = "", path: str = "") -> Persona:
    """Return the persona of a file, or the packaged one of this name ("" is the host).

    Raises:
        ConfigError: there is none, or the file is wrong; every problem is a sentence.
    """
    file = Path(path).expanduser() if path else FOLDER / f"{name or DEFAULT}.toml"
    if not path and not re.fullmatch(r"[a-z0-9_-]*", name):
        raise ConfigError([_unknown(name)])
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [f"the persona {file} cannot be read: {error}" if path else _unknown(name)]
        ) from error
    return parse(text, str(file))


def parse(text: str, source: str) -> Persona:
    """Return the persona that a file's text declares.

    Raises:
        ConfigError: the text is wrong; `source` names it in every sentence.
    """
    try:
        return Persona(msgspec.convert(tomllib.loads(text), _File), source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{source} is not TOML: {error}"]) from error
    except msgspec.ValidationError as error:
        raise ConfigError([f"{source} is no persona: {error}"]) from error


def names() -> list[str]:
    """Return the packaged personas' names."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def _unknown(name: str) -> str:
    return (
        f"there is no local model {name!r}: use {', '.join(names())} or smollm2, or set "
        "Endpointurl to a chat service that has it"
    )


def _plain(said: str) -> str:
    """Return what patterns look at: lower case, straight apostrophes, no other punctuation."""
    text = said[-_LONGEST:].lower().replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s']", " ", text)).strip()


def _wrong_slot(reply: str, known: set[str]) -> str:
    """Return what is wrong with the slots of a reply; "" for nothing."""
    try:
        unknown = [slot for slot in _slots_of(reply) if slot not in known]
    except ValueError as error:
        return f"{error}; write {{{{ for a brace that is spoken of"
    if unknown:
        return f"no pattern and no [slots] line fills {{{unknown[0]}}}"
    return ""


def _slots_of(reply: str) -> list[str]:
    """Return the slots of a reply.

    Raises:
        ValueError: its braces do not match.
    """
    return [slot for _, slot, _, _ in string.Formatter().parse(reply) if slot is not None]
