"""What the voice says around a tool call, in the persona's words: `[tools]` of its file.

```toml
[tools]                     # each a list, taken in turn; what is not there is the English one
done = ["Done.", "There you are."]
range = ["{slot} goes from {minimum} to {maximum}. How much?"]
yes = ["ja", "gern"]        # words by which a visitor agrees, besides those that are known
```
"""

from __future__ import annotations

import re
import string
from typing import Annotated, Final, TypeAlias

import msgspec

from voiced.inference.lexicon import ENGLISH, Lexicon
from voiced.inference.utterance import tidy
from voiced.messages.tools import LEFT_OUT

Lines: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

_LONGEST_RESULT: Final = 240
"""Characters of a result that are read aloud."""
_BARE: Final = frozenset(("", "ok", "okay", "done", "true", "1", "success", "null", "none"))
"""Results that say no more than that it was done."""
_UNSPEAKABLE: Final = re.compile(r"[{}\[\]<>|\\$_=;\t\n]|://")
_FAULT: Final = re.compile(
    r"\b(HTTP \d{3}|[A-Z]\w*(Error|Exception|Exit|Interrupt))\b|[Tt]raceback"
)
"""A failure in a program's words: those who keep it read them, visitors do not hear them."""
_ASIDE: Final = re.compile(rf"\([^()]*{LEFT_OUT}\)")
_MARKUP: Final = str.maketrans("", "", "*#`_~")
_SENTENCE: Final = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


class Phrases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sentences by what they are for; every one takes its turn."""

    done: Lines = ("Done.",)
    """A tool has done its work."""
    result: Lines = ("{result}",)
    """It answered with a short sentence."""
    failed: Lines = ("That did not work.",)
    reason: Lines = ("That did not work: {result}",)
    """It failed and said why in a short sentence."""
    working: Lines = ("One moment.",)
    """It takes longer."""
    goodbye: Lines = ("Goodbye.",)
    """The visitor wants the conversation to end."""
    left: Lines = ("All right, I leave it as it is.",)
    """The visitor said that something is not to be done."""
    missing: Lines = ("Which {slot}?",)
    """An argument is missing."""
    choice: Lines = ("Which {slot}: {options}?",)
    whether: Lines = ("{slot}: yes or no?",)
    """An argument that is true or false is missing."""
    range: Lines = ("{slot} goes from {minimum} to {maximum}. How much?",)
    """A number is missing or out of its range."""
    least: Lines = ("{slot} is at least {minimum}. How much?",)
    most: Lines = ("{slot} is at most {maximum}. How much?",)
    which: Lines = ("Which one do you mean: {tools}?",)
    """Two tools may be meant."""
    confirm: Lines = ("Do you mean: {tool}?",)
    """One may be meant."""
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    """Words by which a sentence is negated."""

    def problems(self) -> list[str]:
        """Return what is wrong with the sentences' slots."""
        found: list[str] = []
        for kind in Phrases.__struct_fields__:
            for line in () if kind in _WORDS else getattr(self, kind):
                try:
                    slots = {slot for _, slot, _, _ in string.Formatter().parse(line) if slot}
                    line.format_map(dict.fromkeys(_SLOTS.get(kind, ()), ""))
                except (KeyError, IndexError, AttributeError):
                    known = ", ".join(f"{{{name}}}" for name in _SLOTS.get(kind, ())) or "none"
                    found.append(f"tools: {kind}: {line!r}: the slots of {kind} are {known}")
                except ValueError as error:
                    found.append(f"tools: {kind}: {line!r}: {error}; write {{{{ for a brace")
                else:
                    if slots - set(_SLOTS.get(kind, ())):
                        found.append(f"tools: {kind}: {line!r}: a slot is a name alone")
        return found

    def lexicon(self) -> Lexicon:
        """Return the words of yes, no and not, the persona's among them."""
        return Lexicon(
            negations=ENGLISH.negations.union(word.lower() for word in self.negations),
            yes=ENGLISH.yes.union(word.lower() for word in self.yes),
            no=ENGLISH.no.union(word.lower() for word in self.no),
        )


_WORDS: Final = frozenset(("yes", "no", "negations"))
_SLOTS: Final = {
    "result": ("result",),
    "reason": ("result",),
    "missing": ("slot",),
    "choice": ("slot", "options"),
    "whether": ("slot",),
    "range": ("slot", "minimum", "maximum"),
    "least": ("slot", "minimum"),
    "most": ("slot", "maximum"),
    "which": ("tools",),
    "confirm": ("tool",),
}


class Speaker:
    """Says the sentences of one conversation, each kind's in turn."""

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases
        self._used: dict[str, int] = {}

    def say(self, kind: str, **words: str) -> str:
        """Return a sentence; it begins with a capital letter."""
        lines: tuple[str, ...] = getattr(self._phrases, kind)
        used = self._used.get(kind, 0)
        self._used[kind] = used + 1
        sentence = lines[used % len(lines)].format_map(words)
        return sentence[:1].upper() + sentence[1:]

    def outcome(self, ok: bool, result: str) -> str:
        """Return what is said of a tool's result: its own words where a visitor can hear them."""
        words = speakable(result)
        if ok:
            return self.say("result", result=words) if words else self.say("done")
        if not words or _FAULT.search(words):
            return self.say("failed")
        return self.say("reason", result=words)


def spoken(text: str) -> str:
    """Return words without the marks that only a reader makes sense of."""
    return text.translate(_MARKUP)


def speakable(result: str) -> str:
    """Return what of a result can be spoken: a short text in plain words; "" where nothing can."""
    text = _plain(_ASIDE.sub("", result))
    if text.strip(" .!").lower() in _BARE:
        return ""
    if len(text) > _LONGEST_RESULT:
        sentence = _SENTENCE.match(text[:_LONGEST_RESULT])
        text = sentence[0] if sentence else ""
    if _UNSPEAKABLE.search(text) or not any(letter.isalnum() for letter in text):
        return ""
    text = spoken(text).strip()
    return text if text[-1:] in tuple(".!?…") else f"{text}."


def _plain(result: str) -> str:
    """Return a result as text; of JSON its only value."""
    text = result.strip()
    if text[:1] in ('"', "{"):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return text
        if isinstance(value, dict) and len(value) == 1:
            value = next(iter(value.values()))
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            text = str(value)
        elif isinstance(value, dict):
            return ""
    return tidy(text).strip()
