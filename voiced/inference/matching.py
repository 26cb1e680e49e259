"""How well a tool fits what was said.

A tool is wanted where the words of its name, its description and its arguments explain what was
said. Two figures say how well, both from 0 to 1:

    focus      how much of the tool was spoken of: 1 - product(1 - weight) over its words that were
               heard. A word of the name weighs more than one of the description, and a word that
               many tools share weighs less.
    coverage   which share of the words that mean something belongs to the tool.

Their product, times a factor for the mood of the sentence, is the score. An option alone ("red")
has none: something has to name the tool.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from voiced.inference import caveats, utterance
from voiced.inference import slots as filling_in
from voiced.inference.lexicon import BLOCKERS, GENERIC, OPPOSITES, PLAIN, STOP, VERBS, stem_set
from voiced.inference.mishearing import ALIKE, likeness
from voiced.inference.slots import Filling, Heard, Kind, Slot
from voiced.inference.utterance import Mood, Word
from voiced.messages.inference import Declaration

_MOODS: Final = {Mood.COMMAND: 1.0, Mood.ELLIPSIS: 0.9, Mood.STATEMENT: 0.3, Mood.QUESTION: 0.0}
_LOOSE_ELLIPSIS: Final = 0.5
"""The factor where words without a verb are not all the tool's, or there is but one."""
_HALF: Final = 0.6
"""The factor where only what a tool does was said, or only what it does it to."""
_NAME, _DESCRIPTION, _SLOT, VALUE = 0.75, 0.45, 0.45, 0.45
VERB: Final = 0.2
"""What a verb weighs that any command may have."""
_EARLY: Final = 12
"""Words of a description's first sentence that count in full: long ones explain much."""
_QUERIES: Final = stem_set(
    "get ask find search look read tell what when which where how list query fetch lookup who"
)
"""Stems that begin the name or description of a tool which answers questions."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration as sentences are compared with it."""

    name: str
    spoken: str
    """How it is called in a question to the visitor."""
    weights: dict[str, float]
    """Of the stems of its name, description and slots."""
    names: frozenset[str]
    """Those of its name."""
    title: frozenset[str]
    """Those of its name and of its description's first sentence, which says what it does."""
    verbs: frozenset[str]
    """Stems that begin its name and its description."""
    options: frozenset[str]
    said: frozenset[str]
    """Stems of all words of its name, its description and its arguments."""
    slots: tuple[Slot, ...]
    schema: str

    @property
    def answers(self) -> bool:
        """Whether it is there to answer questions."""
        return bool(self.verbs & _QUERIES)


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A tool beside a sentence."""

    tool: Tool
    score: float
    filling: Filling


# --- tools


@lru_cache(maxsize=64)
def tools_of(declarations: tuple[Declaration, ...]) -> tuple[Tool, ...]:
    """Return the tools that words can call."""
    return tuple(tool for one in declarations if (tool := _tool(one)) is not None)


def _tool(declared: Declaration) -> Tool | None:
    slots = filling_in.read(declared.parameters)
    if slots is None:
        return None
    name = utterance.stems_of_name(declared.name)
    first, _, more = declared.description.partition(". ")
    first = first.strip().rstrip(".")
    described = utterance.words_of(utterance.tidy(first))
    meaning = [word.stem for word in described if word.text not in STOP or word.stem in name]
    weights: dict[str, float] = {}

    def weigh(stem: str, weight: float) -> None:
        if stem in GENERIC or stem in STOP:
            weight = min(weight, VERB)
        weights[stem] = max(weights.get(stem, 0.0), weight)

    for stem in name:
        weigh(stem, _NAME)
    for n, stem in enumerate(meaning):
        weigh(stem, _DESCRIPTION if n < _EARLY else _DESCRIPTION / 2)
    title = frozenset(weights)
    for word in utterance.words_of(utterance.tidy(more)):
        weigh(word.stem, VERB)
    for slot in slots:
        for stem in slot.stems:
            weigh(stem, _SLOT)
        for stem in slot.hints:
            weigh(stem, _SLOT / 2)
    options = frozenset(s for slot in slots for o in slot.options for s in o.stems)
    return Tool(
        name=declared.name,
        spoken=first if 0 < len(first) <= 80 else utterance.spoken_name(declared.name),
        weights=weights,
        names=frozenset(name),
        title=title,
        verbs=frozenset([*name[:1], *(word.stem for word in described[:1])]),
        options=options,
        said=options.union(
            weights,
            (word.stem for word in utterance.words_of(utterance.tidy(declared.description))),
        ),
        slots=slots,
        schema=declared.parameters,
    )


class _Stock(msgspec.Struct, frozen=True, kw_only=True):
    """The words of all tools together."""

    size: int
    """Tools."""
    having: Counter[str]
    """In how many tools a stem is."""

    def rarity(self, stem: str) -> float:
        """Return what a word tells of one tool: 1 for its own, less for a shared one."""
        having = max(self.having[stem], 1)
        return 0.5 + 0.5 * math.log(1 + self.size / having) / math.log(1 + self.size)


def _stock(tools: Sequence[Tool]) -> _Stock:
    having = Counter(stem for tool in tools for stem in {*tool.weights, *tool.options})
    return _Stock(size=len(tools), having=having)


# --- the score


def matches(heard: Heard, tools: Sequence[Tool], mood: Mood | None = None) -> list[Match]:
    """Return the tools that a sentence may mean, the likeliest first."""
    if not heard.words or not tools:
        return []
    stock = _stock(tools)
    found = [match for tool in tools if (match := _compared(heard, tool, stock, mood)) is not None]
    return sorted(found, key=lambda match: (-match.score, match.tool.name))


def _compared(heard: Heard, tool: Tool, stock: _Stock, mood: Mood | None) -> Match | None:
    words = heard.words
    mood = mood or utterance.mood(words, tool.verbs)
    factor = 1.0 if mood is Mood.QUESTION and tool.answers else _MOODS[mood]
    if not factor or _contrary(words, tool):
        return None
    topic = dict(_topic(words, tool, stock))
    specific = [n for n in topic if tool.weights[topic[n][0]] > VERB]
    if not specific:
        return None
    filling = filling_in.fill(tool.slots, marked(heard, tool, specific))
    if mood is Mood.COMMAND and caveats.is_spoken_of(words, set(filling.used)):
        factor = _MOODS[Mood.STATEMENT]
    score = _focus(words, topic, filling, tool, stock)
    coverage = _coverage(words, topic, filling, stock, mood)
    if mood is Mood.ELLIPSIS and (coverage < 0.99 or len({*topic, *filling.used}) < 2):
        factor = _LOOSE_ELLIPSIS
    factor *= _HALF if _is_half_named(words, topic, tool) else 1.0
    return Match(tool=tool, score=score * coverage * factor, filling=filling)


def _topic(
    words: Sequence[Word], tool: Tool, stock: _Stock
) -> Iterator[tuple[int, tuple[str, float]]]:
    """Yield which words are the tool's own: the word's place, the tool's stem, how surely."""
    for n, word in enumerate(words):
        if word.stem in tool.weights:
            yield n, (word.stem, 1.0)
        elif not stock.having[word.stem] and word.text not in STOP and word.stem not in GENERIC:
            alike = [(likeness(word.stem, stem), stem) for stem in tool.weights]
            surely, stem = max(alike, default=(0.0, ""))
            if surely >= ALIKE:
                yield n, (stem, surely)


def _is_half_named(words: Sequence[Word], topic: dict[int, tuple[str, float]], tool: Tool) -> bool:
    """Whether one half of what a tool is was left out: "conversation" is not to end it.

    A verb that any command may have stands for the tool's own.
    """
    own = tool.verbs & (VERBS - GENERIC)
    if not own:
        return False
    said = {word.stem for word in words if word.text not in STOP}
    objects = {stem for stem in tool.names if stem not in own and tool.weights[stem] > VERB}
    heard = {stem for stem, _ in topic.values()}
    return not said & (own | GENERIC) or (bool(objects) and heard <= own | GENERIC)


def _contrary(words: Sequence[Word], tool: Tool) -> bool:
    """Whether a sentence wants the opposite of what the tool does, or calls something off."""
    stems = {word.stem for word in words}
    own = {*tool.weights, *tool.options}
    switches = any(slot.kind is Kind.BOOLEAN for slot in tool.slots)
    for stem in stems:
        opposite = OPPOSITES.get(stem, frozenset())
        switched = switches and stem in ("on", "off")
        contrary = bool(opposite & tool.weights.keys()) and not opposite & stems
        if contrary and not switched and stem not in own:
            return True
    if not switches and _is_off(words) and "off" not in tool.said:
        return True
    first = next((word for word in words if word.text not in STOP), None)
    return first is not None and first.stem in BLOCKERS - own


def _is_off(words: Sequence[Word]) -> bool:
    """Whether something is to be off, or less of it; "set off the horn" starts it."""
    texts = [word.text for word in words]
    return "less" in texts or any(
        text == "off" and (n == 0 or texts[n - 1] not in ("set", "fire", "kick", "show"))
        for n, text in enumerate(texts)
    )


def _focus(
    words: Sequence[Word],
    topic: dict[int, tuple[str, float]],
    filling: Filling,
    tool: Tool,
    stock: _Stock,
) -> float:
    """Return how much of the tool was spoken of."""
    heard: dict[str, float] = {}
    for stem, surely in topic.values():
        weight = tool.weights[stem] * surely * stock.rarity(stem)
        heard[stem] = max(heard.get(stem, 0.0), weight)
    for n, surely in filling.used.items():
        if n not in topic:
            stem = words[n].stem
            heard[stem] = max(heard.get(stem, 0.0), VALUE * surely * stock.rarity(stem))
    return 1.0 - math.prod(1.0 - weight for weight in heard.values())


def _coverage(
    words: Sequence[Word],
    topic: dict[int, tuple[str, float]],
    filling: Filling,
    stock: _Stock,
    mood: Mood,
) -> float:
    """Return which share of the words that mean something is the tool's."""
    explained = total = 0.0
    for n, word in enumerate(words):
        own = n in topic or n in filling.used
        if not own and word.text in STOP and (word.text in PLAIN or not stock.having[word.stem]):
            continue
        total += 1.0
        if own:
            explained += max(filling.used.get(n, 0.0), topic[n][1] if n in topic else 0.0)
        elif word.stem in GENERIC and mood is Mood.COMMAND:
            explained += 0.9
    return explained / total if total else 0.0


def marked(heard: Heard, tool: Tool, topic: Iterable[int] | None = None) -> Heard:
    """Return a sentence with the words marked that name a tool."""
    own = frozenset(stem for stem, weight in tool.weights.items() if weight > VERB)
    if topic is None:
        topic = (n for n, word in enumerate(heard.words) if word.stem in own)
    return msgspec.structs.replace(heard, topic=frozenset(topic), topic_stems=own, title=tool.title)
