"""Which tools a visitor wants called: intents and slots, without a model.

Every sentence is compared with every tool (`matching`). At `CALL` a tool is called, or what is
missing is asked for; from `ASK` on the visitor is asked whether it is meant. A question, a
condition and a negated sentence call nothing.

Pure: what time it is comes with each sentence, and one question waits for its answer at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from voiced.inference import caveats, utterance
from voiced.inference import slots as filling_in
from voiced.inference.lexicon import ENGLISH, STOP, Lexicon
from voiced.inference.matching import VALUE, VERB, Match, Tool, marked, matches, tools_of
from voiced.inference.slots import Filling, Heard, Json, Kind, Slot
from voiced.inference.utterance import Mood
from voiced.messages.inference import Declaration
from voiced.mind import schema as schemas

CALL: Final = 0.5
"""Score from which a tool is called."""
ASK: Final = 0.3
"""Score from which the visitor is asked whether it is meant."""
CLOSE: Final = 0.9
"""A second tool whose score is this share of the first one's may be meant as well."""
PATIENCE_S: Final = 30.0
"""A question is forgotten after so long."""
_LONGEST: Final = 400
"""Characters of what was said that are looked at: its last whole sentences."""
_MOST_CALLS: Final = 4


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool to call; the arguments fit its schema."""

    name: str
    arguments: dict[str, Json]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the visitor: its kind, and what stands in the sentence."""

    kind: str
    """missing, choice, range, least, most, which or confirm."""
    words: dict[str, str]


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The visitor said that something is not to be done."""


Decision = tuple[Call, ...] | Ask | Leave | None
"""None: it was about no tool."""


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A question that waits for its answer."""

    ask: Ask
    tools: tuple[tuple[Tool, dict[str, Json]], ...]
    """Those that may be meant, and what is known of their arguments."""
    slot: Slot | None = None
    """The one that was asked for; None: whether, or which tool."""


_Reading = tuple[Call, ...] | _Pending | Leave | None


class Intent:
    """Hears one conversation."""

    def __init__(self) -> None:
        self._pending: _Pending | None = None
        self._since = 0.0

    def hear(
        self,
        said: str,
        declarations: Sequence[Declaration],
        now_s: float,
        lexicon: Lexicon = ENGLISH,
    ) -> Decision:
        """Return what is to be done about what a visitor said.

        Args:
            said: as the recogniser wrote it.
            declarations: the tools there are now.
            now_s: time on any clock that runs forward.
            lexicon: words of negation, yes and no.
        """
        text = utterance.tidy(said)
        if len(text) > _LONGEST:
            # Half a sentence might be what is left of a negated one.
            text = ". ".join(utterance.sentences(text[-_LONGEST:])[1:])
        tools = tools_of(tuple(declarations))
        pending, self._pending = self._pending, None
        reading = _read(text, tools, lexicon)
        if pending is not None and not isinstance(reading, tuple):
            offered = all(tool in tools for tool, _ in pending.tools)
            if offered and now_s - self._since <= PATIENCE_S:
                answer = _answered(pending, text, lexicon)
                reading = reading if answer is None else answer
        if isinstance(reading, _Pending):
            self._pending, self._since = reading, now_s
            return reading.ask
        return reading


def arguments(said: str, declared: Declaration) -> str:
    """Return the arguments that a sentence gives to a tool, as JSON; `{}` where they do not fit."""
    tools = tools_of((declared,))
    if not tools:
        return "{}"
    tool = tools[0]
    filling = filling_in.fill(tool.slots, marked(_heard(utterance.tidy(said[-_LONGEST:])), tool))
    found = _complete(tool, filling)
    return _json(found[0].arguments) if isinstance(found, tuple) else "{}"


# --- what is said


def _read(text: str, tools: Sequence[Tool], lexicon: Lexicon) -> _Reading:
    """Return what a text means that answers no question."""
    if not tools:
        return None
    affirmed, negated = _judged(text, tools, lexicon)
    denied = [match for heard in negated if (match := _spoken_of(heard, tools)) is not None]
    wanted = [heard for heard in negated if _wanted(heard, tools)]
    if any(_is_bare(heard, tools) for heard in negated):
        # "Please do not." belongs to what stands beside it.
        return Leave() if wanted or any(_wanted(heard, tools) for heard in affirmed) else None
    readings = [
        None if n and caveats.goes_on(affirmed[n - 1].words) else _sentence(heard, tools)
        for n, heard in enumerate(affirmed)
    ]
    plain = not any(_is_doubtful(heard) for heard in affirmed)
    if plain and len(affirmed) > 1 and not any(isinstance(found, tuple) for found in readings):
        readings.append(_one(Heard(text=text, words=utterance.words_of(text)), tools))
        readings.sort(key=lambda reading: not isinstance(reading, tuple))
    calls = [call for reading in readings if isinstance(reading, tuple) for call in reading]
    refused = {word.stem for heard in negated for word in heard.words}
    left = [
        call
        for call in calls
        if not any(_denies(match, call) for match in denied) and not _refuses(refused, call, tools)
    ]
    if left:
        return tuple(left[:_MOST_CALLS])
    if wanted or calls:
        return Leave()
    return next((reading for reading in readings if reading is not None), None)


def _is_doubtful(heard: Heard) -> bool:
    """Whether a sentence is more than its words: a condition, a remark, a question back."""
    words = heard.words
    echo = utterance.is_echo(heard.text, words)
    held = caveats.held(words) or caveats.goes_on(words)
    return bool(held) or echo or utterance.is_remark(words)


def _sentence(heard: Heard, tools: Sequence[Tool]) -> _Reading:
    """Return what one sentence means; of what is held back only what has the tool's own word."""
    reading = _wishes(heard, tools)
    if isinstance(reading, tuple) and utterance.is_echo(heard.text, heard.words):
        reading = _asked_back(reading[0], tools)
    held = caveats.held(heard.words)
    if not held:
        return reading
    own = {tool.name for tool in tools if held <= tool.said}
    called = reading if isinstance(reading, tuple) else ()
    return tuple(call for call in called if call.name in own) or None


def _asked_back(call: Call, tools: Sequence[Tool]) -> _Reading:
    """Ask whether a call is meant."""
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None or tool.answers:
        return (call,)
    return _Pending(
        ask=Ask(kind="confirm", words={"tool": tool.spoken}), tools=((tool, call.arguments),)
    )


def _wishes(heard: Heard, tools: Sequence[Tool]) -> _Reading:
    """Return what a sentence wishes: of several commands in it each, else the best reading."""
    pieces = utterance.parts(heard.text)
    if utterance.is_remark(heard.words):
        # "Wow, red lights!" is none.
        moods = [utterance.mood(utterance.words_of(piece), frozenset()) for piece in pieces]
        pieces = [p for p, mood in zip(pieces, moods, strict=True) if mood is not Mood.ELLIPSIS]
    readings = [
        _one(msgspec.structs.replace(_heard(piece), excluded=heard.excluded), tools)
        for piece in pieces
        if len(utterance.parts(heard.text)) > 1
    ]
    called = {call.name: call for found in readings if isinstance(found, tuple) for call in found}
    if len(called) > 1:
        return tuple(called.values())
    whole = _one(heard, tools)
    if isinstance(whole, tuple) or (whole is not None and not called):
        return whole
    if isinstance(whole, _Pending) and whole.slot and whole.tools[0][0].name in called:
        return whole  # "red, green or blue" is not only red
    if called:
        return tuple(called.values())
    return next((reading for reading in readings if reading is not None), None)


def _one(heard: Heard, tools: Sequence[Tool]) -> _Reading:
    """Return what words mean that are one wish."""
    ranked = matches(heard, tools)
    if not ranked or ranked[0].score < ASK:
        return None
    best = ranked[0]
    rivals = [match for match in ranked if match.score >= CLOSE * best.score][:3]
    waiting = tuple((match.tool, match.filling.values) for match in rivals)
    if len(rivals) > 1:
        named = ", ".join(match.tool.spoken for match in rivals)
        return _Pending(ask=Ask(kind="which", words={"tools": named}), tools=waiting)
    found = _complete(best.tool, best.filling)
    if best.score < CALL and isinstance(found, tuple):
        return _Pending(ask=Ask(kind="confirm", words={"tool": best.tool.spoken}), tools=waiting)
    return found


def _complete(tool: Tool, filling: Filling) -> _Reading:
    """Call a tool that was chosen, or ask for what it still needs."""
    values = dict(filling.values)
    if filling.doubt is not None:
        values.pop(filling.doubt.slot.name, None)
        return _ask_for(tool, values, filling.doubt.slot)
    needed = filling_in.missing(tool.slots, values)
    if needed is not None:
        return _ask_for(tool, filling.values, needed)
    _, problem = schemas.arguments(schemas.read(tool.schema), _json(values))
    return None if problem else (Call(name=tool.name, arguments=values),)


def _ask_for(tool: Tool, values: dict[str, Json], slot: Slot) -> _Pending:
    words = {"slot": slot.spoken}
    least, most = slot.least, slot.most
    if slot.options:
        kind = "choice"
        words["options"] = ", ".join(_spoken(option.value) for option in slot.options[:8])
    elif slot.kind is Kind.BOOLEAN:
        kind = "whether"
    else:
        kind = _BOUNDED[least is not None, most is not None]
    if least is not None:
        words["minimum"] = f"{least:g}"
    if most is not None:
        words["maximum"] = f"{most:g}"
    return _Pending(ask=Ask(kind=kind, words=words), tools=((tool, values),), slot=slot)


_BOUNDED: Final = {
    (False, False): "missing", (True, True): "range", (True, False): "least", (False, True): "most"
}  # fmt: skip


def _answered(pending: _Pending, text: str, lexicon: Lexicon) -> _Reading:
    """Return what an answer means; None where it is none."""
    heard = _heard(utterance.exceptions(text))
    texts = [word.text for word in heard.words]
    if not texts:
        return None
    urged = texts[:2] in (["do", "it"], ["go", "ahead"])
    if utterance.mood(heard.words, frozenset()) is Mood.QUESTION and not urged:
        return None
    tool, values = pending.tools[0]
    if pending.slot is not None and pending.slot.kind is Kind.BOOLEAN and len(texts) == 1:
        # Here a bare "no" is the value that was asked for.
        for answers, value in ((lexicon.yes, True), (lexicon.no, False)):
            if texts[0] in answers:
                return _complete(tool, Filling(values={**values, pending.slot.name: value}))
    if texts[0] in lexicon.no or utterance.negation(heard.words, lexicon.negations) is not None:
        return Leave()
    known = lexicon.yes.union(tool.weights, tool.options)
    if pending.slot is not None:
        filling = filling_in.answer(pending.slot, heard)
        if filling.doubt is None and pending.slot.name not in filling.values:
            return None
        if pending.slot.kind is not Kind.TEXT and not caveats.is_answer(
            heard.words, filling.used, known
        ):
            return None
    elif len(pending.tools) == 1:
        if texts[0] not in lexicon.yes and not urged:
            return None
        if lexicon.no.intersection(texts):
            return Leave()
        if not caveats.is_answer(heard.words, (), known):
            return None
        filling = Filling()
    else:
        offered = [tool for tool, _ in pending.tools]
        chosen = _chosen(heard, offered)
        named = frozenset(_ORDER).union(*(tool.weights for tool in offered))
        if chosen is None or not caveats.is_answer(heard.words, (), named):
            return None
        tool, values = pending.tools[chosen]
        filling = Filling()
    filling.values = {**values, **filling.values}
    return _complete(tool, filling)


# --- sentences


def _heard(text: str) -> Heard:
    return Heard(text=text, words=utterance.words_of(text))


def _judged(text: str, tools: Sequence[Tool], lexicon: Lexicon) -> tuple[list[Heard], list[Heard]]:
    """Return the sentences that want something, and those that want it not to be done.

    The latter are without their words of negation.
    """
    affirmed: list[Heard] = []
    negated: list[Heard] = []
    for sentence in utterance.sentences(text):
        heard = _heard(_behind_aside(sentence, tools, lexicon))
        if utterance.retracts(heard.words, lexicon.no):
            negated += [each for each in affirmed if _wanted(each, tools)]
            affirmed = [each for each in affirmed if not _wanted(each, tools)]
        at = utterance.negation(heard.words, lexicon.negations)
        contrast = None if at is None else _contrast(heard, at, tools, lexicon)
        if utterance.takes_back(heard.words):
            negated.append(heard)
        elif at is None:
            affirmed.append(heard)
        elif contrast is not None:
            affirmed.append(contrast)
        else:
            rest = [w for n, w in enumerate(heard.words)
                    if n != at and w.text not in lexicon.negations]  # fmt: skip
            negated.append(msgspec.structs.replace(heard, words=rest))
    return affirmed, negated


def _behind_aside(sentence: str, tools: Sequence[Tool], lexicon: Lexicon) -> str:
    """Return what follows an aside such as "I don't know, ...", which denies nothing."""
    first, comma, rest = sentence.partition(", ")
    words = utterance.words_of(first)
    if not comma or not words or not utterance.is_told(words):
        return sentence
    if any(word.text == "you" for word in words):
        return sentence  # "You must not, ..." forbids what follows.
    known = any(tool.weights.get(word.stem, 0.0) > VERB for word in words for tool in tools)
    means = any(word.text not in STOP | lexicon.negations for word in words)
    return rest if means and not known else sentence


def _contrast(heard: Heard, at: int, tools: Sequence[Tool], lexicon: Lexicon) -> Heard | None:
    """Return what stands before "not green" in "red, not green"; None where all is negated.

    What follows the word of negation has to be other options than those before it.
    """
    if at == 0:
        return None
    options = {stem for tool in tools for stem in tool.options}
    stems = [word.stem for word in heard.words]
    wanted, refused = options.intersection(stems[:at]), options.intersection(stems[at:])
    other = any(
        word.stem not in options and word.text not in STOP | lexicon.negations
        for word in heard.words[at:]
    )
    if not wanted or not refused or wanted & refused or other:
        return None
    before = _heard(heard.text[: heard.words[at].start])
    return msgspec.structs.replace(before, excluded=frozenset(refused))


def _is_bare(heard: Heard, tools: Sequence[Tool]) -> bool:
    """Whether a negated sentence says by itself not what it denies."""
    if all(word.text in STOP for word in heard.words):
        return True
    if utterance.is_told(heard.words) or _spoken_of(heard, tools) is not None:
        return False
    return not any(word.stem in tool.options for word in heard.words for tool in tools)


def _spoken_of(heard: Heard, tools: Sequence[Tool]) -> Match | None:
    """Return the tool that a negated sentence speaks of."""
    ranked = matches(heard, tools, mood=Mood.COMMAND)
    return ranked[0] if ranked and ranked[0].score >= ASK / 2 else None


def _wanted(heard: Heard, tools: Sequence[Tool]) -> bool:
    """Whether this would have called a tool, or asked about one."""
    ranked = matches(heard, tools)
    return bool(ranked) and ranked[0].score >= ASK


def _denies(match: Match, call: Call) -> bool:
    """Whether a negated sentence denies this call: the same tool, and no other options."""
    if match.tool.name != call.name:
        return False
    options = {slot.name for slot in match.tool.slots if slot.kind is Kind.OPTION}
    named = {name: value for name, value in match.filling.values.items() if name in options}
    return not named or any(call.arguments.get(name) == value for name, value in named.items())


def _refuses(stems: set[str], call: Call, tools: Sequence[Tool]) -> bool:
    """Whether a negated sentence holds an option of this call."""
    tool = next(tool for tool in tools if tool.name == call.name)
    return any(
        option.value == call.arguments.get(slot.name) and stems.issuperset(option.stems)
        for slot in tool.slots
        for option in slot.options
    )


def _chosen(heard: Heard, tools: Sequence[Tool]) -> int | None:
    """Return which of the tools that were offered is named."""
    stems = {word.stem for word in heard.words}
    own: list[float] = []
    for tool in tools:
        others = [other for other in tools if other is not tool]
        shared = {stem for other in others for stem in [*other.weights, *other.options]}
        own.append(
            sum(weight for stem, weight in tool.weights.items() if stem in stems - shared)
            + VALUE * len(tool.options & (stems - shared))
        )
    if max(own) > 0 and own.count(max(own)) == 1:
        return own.index(max(own))
    places = [_ORDER[word.text] for word in heard.words if word.text in _ORDER]
    return places[0] % len(tools) if places and places[0] < len(tools) else None


_ORDER: Final = {"first": 0, "former": 0, "second": 1, "latter": 1, "third": 2, "last": -1}


def _spoken(value: Json) -> str:
    return utterance.spoken_name(value) if isinstance(value, str) else str(value)


def _json(values: dict[str, Json]) -> str:
    return msgspec.json.encode(values).decode()
