"""A tool's arguments as slots that a sentence fills, for flat JSON schemas.

A slot is an option (`enum`), a number, a yes or no, or a text. Whatever is filled fits the schema:
a number out of its range, or two options for one slot, are a `Doubt` and no argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from voiced.inference import numbers
from voiced.inference.lexicon import NO, STOP, YES, stem_set, word_set
from voiced.inference.mishearing import likeness, run_together
from voiced.inference.utterance import Word, spoken_name, stems_of_name, tidy, words_of
from voiced.mind import schema as schemas

Json: TypeAlias = None | bool | int | float | str

_TRUE: Final = word_set("on true enable enabled active yes")
_FALSE: Final = word_set("off false disable disabled inactive no")
_MOST: Final = word_set("full fully maximum max brightest loudest highest")
_LEAST: Final = word_set("minimum min lowest")
_LOUD: Final = stem_set("volume gain loudness speed rate power")
_LONGEST_TEXT: Final = 1_000
_FAR: Final = 3
"""A slot's name counts for a number so many words away."""
_INTRODUCTIONS: Final = word_set(
    "to called named saying says say that for about as is with reading of me us"
)
_PLACES: Final = word_set("in at from on")
"""The same between what a tool does and an unnamed text: the weather in Paris."""
_JOINTS: Final = word_set("and with the a an at of to")
"""What stands between a text and the name of the next argument."""


class Kind(Enum):
    """What fills a slot."""

    OPTION = "option"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One value of an enum."""

    value: str | int | float | bool
    stems: tuple[str, ...]


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One argument."""

    name: str
    kind: Kind
    required: bool
    schema: Mapping[str, Any]
    stems: tuple[str, ...]
    """Of its name."""
    hints: frozenset[str]
    """Stems of its description."""
    options: tuple[Option, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def spoken(self) -> str:
        """Return its name as one says it."""
        return spoken_name(self.name)


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A slot that the sentence speaks of without filling it."""

    slot: Slot
    contradiction: bool = False
    """Two options for one slot; else a number that does not fit."""


class Filling(msgspec.Struct, kw_only=True):
    """What a sentence gives to a tool's slots."""

    values: dict[str, Json] = {}
    used: dict[int, float] = {}
    """Words that were understood, and how surely."""
    doubt: Doubt | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence as slots look at it."""

    text: str
    """Tidy."""
    words: Sequence[Word]
    topic: frozenset[int] = frozenset()
    """Words that name the tool."""
    topic_stems: frozenset[str] = frozenset()
    title: frozenset[str] = frozenset()
    """Stems of the tool's name and description, without its slots."""
    excluded: frozenset[str] = frozenset()
    """Stems that were said not to be meant."""


# --- the schema


def read(parameters: str) -> tuple[Slot, ...] | None:
    """Return the slots of a schema; None where words cannot fill it.

    An argument that is no flat value is left out unless it is required.
    """
    try:
        schema = schemas.read(parameters)
    except schemas.SchemaError:
        return None
    required = set(schema.get("required", ()))
    found: list[Slot] = []
    for name, inner in schema.get("properties", {}).items():
        slot = _slot(name, inner if isinstance(inner, dict) else {}, name in required)
        if slot is not None and inner is not False:
            found.append(slot)
    if required - {slot.name for slot in found}:
        return None
    return tuple(found)


def _slot(name: str, schema: Mapping[str, Any], required: bool) -> Slot | None:
    flat = _flat(schema)
    if flat is None:
        return None
    description = schema.get("description", flat.get("description", ""))
    described = words_of(tidy(description)) if isinstance(description, str) else []
    values = [flat["const"]] if "const" in flat else flat.get("enum")
    options: tuple[Option, ...] = ()
    kind = _KINDS.get(flat.get("type", "string"))
    if values is not None:
        kind = Kind.OPTION
        options = tuple(
            Option(value=value, stems=tuple(stems_of_name(str(value))))
            for value in values
            if isinstance(value, str | int | float) and _fits(schema, value)
        )
        if not options:
            return None
    if kind is None:
        return None
    return Slot(
        name=name,
        kind=kind,
        required=required,
        schema=schema,
        stems=tuple(stems_of_name(name)),
        hints=frozenset(word.stem for word in described if word.text not in STOP),
        options=options,
        least=_bound(flat, ("minimum", "exclusiveMinimum"), max),
        most=_bound(flat, ("maximum", "exclusiveMaximum"), min),
    )


_KINDS: Final = {
    "string": Kind.TEXT, "number": Kind.NUMBER, "integer": Kind.INTEGER, "boolean": Kind.BOOLEAN
}  # fmt: skip


def _flat(schema: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any] | None:
    """Return the form of a schema that one word or number can have."""
    for inner in schema.get("anyOf", ()) if depth < schemas.DEEPEST else ():
        flat = _flat({**schema, "anyOf": (), **inner}, depth + 1) if isinstance(inner, dict) else {}
        if flat is not None:
            return flat
    if schema.get("anyOf"):
        return None
    names = schema.get("type", "string")
    known = [name for name in (names if isinstance(names, list) else [names]) if name in _KINDS]
    return {**schema, "type": known[0]} if known else None


def _bound(
    schema: Mapping[str, Any], keys: tuple[str, str], pick: Callable[[list[float]], float]
) -> float | None:
    try:
        found = [float(schema[key]) for key in keys if key in schema]
    except OverflowError:  # beyond any number that is spoken
        return None
    return pick(found) if found else None


def _fits(schema: Mapping[str, Any], value: Json) -> bool:
    return next(schemas.problems(schema, value), None) is None


# --- filling


def fill(slots: Sequence[Slot], heard: Heard) -> Filling:
    """Return what a sentence says about slots, in order: options, numbers, yes or no, texts."""
    filling = Filling()
    _options(slots, heard, filling)
    _numbers(slots, heard, filling)
    _booleans(slots, heard, filling)
    _texts(slots, heard, filling)
    return filling


def missing(slots: Sequence[Slot], values: dict[str, Json]) -> Slot | None:
    """Return the first required slot without a value, after what goes without saying is put in.

    That is a schema's own default; and of a share from 0 to 1 all of it, where something else was
    said: lights turned red are not meant to be dark. What is loud or fast is asked for.
    """
    said = bool(values)
    for slot in slots:
        if not slot.required or slot.name in values:
            continue
        default = slot.schema.get("default")
        if "default" in slot.schema and _fits(slot.schema, default):
            values[slot.name] = default
        elif len(slot.options) == 1:
            values[slot.name] = slot.options[0].value
        elif said and _is_share(slot) and _fits(slot.schema, slot.most):
            values[slot.name] = slot.most
        else:
            return slot
    return None


def _is_share(slot: Slot) -> bool:
    words = {*slot.stems, *slot.hints}
    return slot.kind is Kind.NUMBER and (slot.least, slot.most) == (0.0, 1.0) and not words & _LOUD


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """An option where it was said."""

    first: int
    until: int
    slot: Slot
    option: Option
    surely: float


def _options(slots: Sequence[Slot], heard: Heard, filling: Filling) -> None:
    found = [each for slot in slots for each in _mentioned(slot, heard)]
    found.sort(key=lambda each: (each.first - each.until, -each.surely, each.first))
    taken: set[int] = set()
    chosen: list[_Found] = []
    for each in found:
        rivals = [c for c in chosen if (c.first, c.until) == (each.first, each.until)]
        span = set(range(each.first, each.until))
        if not span & taken or (rivals and all(c.slot is not each.slot for c in rivals)):
            chosen.append(each)
            taken |= span
    for each in sorted(chosen, key=lambda each: (each.first, not _named(each, heard))):
        _choose(each, chosen, heard, filling)


def _choose(each: _Found, chosen: Sequence[_Found], heard: Heard, filling: Filling) -> None:
    """Give an option to its slot, unless a rival is nearer to its own name or there are two."""
    name = each.slot.name
    span = range(each.first, each.until)
    if any(n in filling.used for n in span):
        return
    before = filling.values.get(name)
    if name in filling.values and before != each.option.value:
        other = next((c for c in chosen if c.slot is not each.slot and c.first == each.first), None)
        if other is not None and other.slot.name not in filling.values:
            return
        source = heard.words[each.first - 1].text if each.first else ""
        earlier = next(c for c in chosen if c.slot is each.slot and c.option.value == before)
        since = heard.words[earlier.first - 1].text if earlier.first else ""
        if source == "from":
            filling.used.update(dict.fromkeys(span, each.surely))
            return
        if since != "from":
            filling.doubt = Doubt(slot=each.slot, contradiction=True)
            filling.used.update(dict.fromkeys(span, each.surely))
            return
    filling.values[name] = each.option.value
    filling.used.update(dict.fromkeys(span, each.surely))


def _mentioned(slot: Slot, heard: Heard) -> Iterator[_Found]:
    counted = numbers.mentions(heard.words)
    for option in slot.options:
        if isinstance(option.value, str | bool):
            yield from _spelt(slot, option, heard)
        else:
            for number in counted:
                if not number.share and number.value == option.value:
                    yield _Found(
                        first=number.first, until=number.until, slot=slot, option=option, surely=1.0
                    )


def _spelt(slot: Slot, option: Option, heard: Heard) -> Iterator[_Found]:
    size = len(option.stems)
    if not size or heard.excluded.issuperset(option.stems):
        return
    for first in range(len(heard.words) - size + 1):
        span = heard.words[first : first + size]
        alike = [likeness(word.stem, meant) for word, meant in zip(span, option.stems, strict=True)]
        surely = min(alike)
        known = any(word.stem in heard.topic_stems for word in span)
        if surely == 1.0 or (surely > 0 and not known and not _is_function(span)):
            yield _Found(first=first, until=first + size, slot=slot, option=option, surely=surely)
    if size == 1 and isinstance(option.value, str):
        word = option.value.lower()
        for at in heard.topic:
            pair = heard.words[at : at + 2]
            if len(pair) == 2 and run_together(pair[0].text, pair[1].text, word):
                yield _Found(first=at + 1, until=at + 2, slot=slot, option=option, surely=0.75)


def _is_function(span: Sequence[Word]) -> bool:
    return all(word.text in STOP for word in span)


def _named(found: _Found, heard: Heard) -> bool:
    """Whether the slot's own name stands close to the option."""
    near = heard.words[max(0, found.first - 2) : found.first]
    near = [*near, *heard.words[found.until : found.until + 1]]
    return any(word.stem in found.slot.stems for word in near)


def _numbers(slots: Sequence[Slot], heard: Heard, filling: Filling) -> None:
    wanted = [s for s in slots if s.kind in (Kind.NUMBER, Kind.INTEGER)]
    wanted = [s for s in wanted if s.name not in filling.values]
    said = [
        mention
        for mention in numbers.mentions(heard.words)
        if not any(n in filling.used for n in range(mention.first, mention.until))
    ]
    free = list(said)
    for slot in wanted:  # a number that stands by a slot's name is that slot's
        near = min(free, key=lambda m: _distance(slot, m, heard), default=None)
        if near is not None and _distance(slot, near, heard) <= _FAR:
            free.remove(near)
            _count(slot, near, filling)
    for slot in sorted(wanted, key=lambda s: not s.required):
        if slot.name in filling.values or (filling.doubt and filling.doubt.slot is slot):
            continue
        if free:
            _count(slot, free.pop(0), filling)
        else:
            _extreme(slot, heard, filling)


def _distance(slot: Slot, mention: numbers.Mention, heard: Heard) -> int:
    """Return how many words lie between a number and the slot's name or unit."""
    names = {*slot.stems, *slot.hints} - {"number", "integer"}
    before = [mention.first - n for n, w in enumerate(heard.words[: mention.first])
              if w.stem in slot.stems]  # fmt: skip
    behind = [
        n + 1
        for n, w in enumerate(heard.words[mention.until : mention.until + 2])
        if w.stem in names
    ]
    return min([*before, *behind], default=1_000)


def _count(slot: Slot, mention: numbers.Mention, filling: Filling) -> None:
    value = number_for(slot, mention)
    if value is None:
        filling.doubt = filling.doubt or Doubt(slot=slot)
    else:
        filling.values[slot.name] = value
    filling.used.update(dict.fromkeys(range(mention.first, mention.until), 1.0))


def number_for(slot: Slot, mention: numbers.Mention) -> Json:
    """Return a number as a slot takes it; None where it does not fit.

    A share is one of the slot's own range: half of 0 to 255 is 127.5.
    """
    value = mention.value
    if mention.share and slot.least is not None and slot.most is not None:
        value = slot.least + value * (slot.most - slot.least)
        value = float(round(value)) if slot.kind is Kind.INTEGER else value
    elif mention.share and slot.most is None:
        value *= 100
    value = round(value, 6)
    if not math.isfinite(value) or (slot.kind is Kind.INTEGER and not value.is_integer()):
        return None
    given: Json = int(value) if value.is_integer() else value
    return given if _fits(slot.schema, given) else None


def _extreme(slot: Slot, heard: Heard, filling: Filling) -> None:
    for n, word in enumerate(heard.words):
        limit = slot.most if word.text in _MOST else slot.least if word.text in _LEAST else None
        if limit is not None and n not in filling.used:
            value: Json = int(limit) if limit.is_integer() else limit
            if _fits(slot.schema, value):
                filling.values[slot.name] = value
                filling.used[n] = 1.0
                return


def _booleans(slots: Sequence[Slot], heard: Heard, filling: Filling) -> None:
    wanted = [s for s in slots if s.kind is Kind.BOOLEAN]
    said = [
        (n, word.text in _TRUE)
        for n, word in enumerate(heard.words)
        if word.text in _TRUE | _FALSE and n not in filling.used
    ]
    for slot in wanted:
        names = [n for n, word in enumerate(heard.words) if word.stem in slot.stems]
        near = [each for each in said if any(abs(each[0] - n) <= _FAR for n in names)]
        picked = near or (said if len(wanted) == 1 else [])
        if len({value for _, value in picked}) == 1 and _fits(slot.schema, picked[0][1]):
            filling.values[slot.name] = picked[0][1]
            filling.used.update(dict.fromkeys((n for n, _ in picked), 1.0))
            said = [each for each in said if each not in picked]
        elif not said and names and not heard.title.intersection(slot.stems):
            if not _fits(slot.schema, True):
                continue
            filling.values[slot.name] = True  # "play it in a loop"
            filling.used.update(dict.fromkeys(names, 1.0))


# --- texts


def _texts(slots: Sequence[Slot], heard: Heard, filling: Filling) -> None:
    wanted = [s for s in slots if s.kind is Kind.TEXT]
    marks = sorted(
        (n, slot.name)
        for slot in wanted
        for n, word in enumerate(heard.words)
        if word.stem == (slot.stems[-1] if slot.stems else None) and n not in filling.used
    )
    for slot in wanted:
        begin = next((n + 1 for n, name in marks if name == slot.name), None)
        if begin is None or begin >= len(heard.words):
            if not slot.required and len(wanted) > 1:
                continue
            begin = _behind_topic(heard, filling)
            if begin is not None and any(w.text in _PLACES for w in heard.words[begin : begin + 1]):
                begin += 1
        until = next((n for n, name in marks if begin is not None and n >= begin), None)
        if begin is not None:
            until = _until(slots, heard, filling, begin, until)
        text, span = _stretch(heard, begin, until, filling)
        if text and _fits(slot.schema, text):
            filling.values[slot.name] = text
            filling.used.update(dict.fromkeys(span, 0.9))


def _until(
    slots: Sequence[Slot], heard: Heard, filling: Filling, begin: int, until: int | None
) -> int:
    """Return where a text ends: before what fills another argument, and before that one's name."""
    words = heard.words
    end = len(words) if until is None else until
    filled = next((n for n in range(begin, end) if n in filling.used), None)
    if filled is None:
        return end
    names = {stem for slot in slots for stem in slot.stems}
    end = filled
    while end > begin and (words[end - 1].text in _JOINTS or words[end - 1].stem in names):
        end -= 1
    return end


def _behind_topic(heard: Heard, filling: Filling) -> int | None:
    last = max([*heard.topic, *filling.used], default=None)
    return None if last is None else last + 1


def _stretch(
    heard: Heard, begin: int | None, until: int | None, filling: Filling
) -> tuple[str, range]:
    """Return the text from one word to another, or what stands between quotation marks."""
    if begin is None:
        return "", range(0)
    words = heard.words
    end = len(words) if until is None else until
    while begin < end and words[begin].text in _INTRODUCTIONS:
        begin += 1
    while end > begin and words[end - 1].text in ("please", "thanks", "now"):
        end -= 1
    if begin >= end or all(word.text in STOP for word in words[begin:end]):
        return "", range(0)
    if any(n in filling.used for n in range(begin, end)):
        return "", range(0)
    text = heard.text[words[begin].start : words[end - 1].end]
    return text[:_LONGEST_TEXT].strip(" \"'“”«»„.,"), range(begin, end)


# --- an answer to a question about one slot


def answer(slot: Slot, heard: Heard) -> Filling:
    """Return what a sentence says about the one slot that was asked for."""
    filling = Filling()
    if slot.kind is Kind.TEXT:
        text, span = _stretch(heard, 0, None, filling)
        if text and _fits(slot.schema, text):
            filling.values[slot.name] = text
            filling.used.update(dict.fromkeys(span, 1.0))
        return filling
    if slot.kind is Kind.BOOLEAN:
        texts = {word.text for word in heard.words}
        if bool(texts & (_TRUE | YES)) != bool(texts & (_FALSE | NO)):
            filling.values[slot.name] = bool(texts & (_TRUE | YES))
        return filling
    if slot.kind is not Kind.OPTION and len(heard.words) == 1:
        heard = msgspec.structs.replace(heard, words=[_counted(heard.words[0])])
    _options([slot], heard, filling)
    _numbers([slot], heard, filling)
    return filling


def _counted(word: Word) -> Word:
    """Return the number that sounds like a word."""
    number = {"to": "two", "too": "two", "for": "four", "won": "one", "ate": "eight"}
    return msgspec.structs.replace(word, text=number.get(word.text, word.text))
