"""Who answers: a tool, the persona, or a language model with the persona as its stand-in.

An answer is a stream of words and tool calls. What a visitor says goes in this order to

1. the chat service of `endpointurl`, which calls tools itself;
2. a rule of the persona that calls a tool;
3. a tool whose words it has (`intent`): the packaged language model calls none by itself;
4. the packaged language model, where it was chosen;
5. the persona.

Where a model fails before its first word, that is told and whoever comes next answers, so that a
visitor is never left in silence.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from voiced.errors import ConfigError, VoicedError
from voiced.inference import endpoint, errand, intent, persona, small_model
from voiced.inference.errand import Toolbox
from voiced.inference.phrases import Speaker
from voiced.inference.worker import Worker
from voiced.messages.inference import Row, Settings

SMALL_MODEL: Final = "smollm2"


class Answerer:
    """Answers one conversation.

    Args:
        settings: which persona, which model.
        rows: the conversation so far.
        small: runs the packaged language model.
        trouble: called with a code and a sentence about what did not work and what is done instead.
        clock: seconds; a question to the visitor is forgotten by it.
    """

    def __init__(
        self,
        settings: Settings,
        rows: Sequence[Row],
        small: Worker[small_model.SmallModel],
        trouble: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._small_model = small
        self._trouble = trouble
        self._clock = clock
        self._settings = settings
        self._intent = intent.Intent()
        self._obeyed = len(rows)
        self._take_persona(rows)

    def update(self, settings: Settings, rows: Sequence[Row]) -> None:
        """Take new settings; another persona is told what was said so far."""
        before, self._settings = self._settings, settings
        if (before.persona, before.model) != (settings.persona, settings.model):
            self._take_persona(rows)

    def take_up(self) -> None:
        """Take the rows that the conversation began with as said just now."""
        self._obeyed = 0

    async def answer(self, rows: Sequence[Row], toolbox: Toolbox) -> AsyncGenerator[str, None]:
        """Yield the answer to what the visitor said since the last assistant row."""
        said = unanswered(rows)
        # The persona hears everything, so that it knows what was said when it has to step in.
        own = self._talk.answer(said)
        if self._settings.endpointurl:
            used = _Used(toolbox)
            spoke = False
            model = endpoint.answer(self._settings, rows, toolbox.tools, used.call)
            async for delta in self._tried(model):
                spoke = True
                yield delta
            if spoke:
                return
            if used.calls:
                yield own.text
                return
        called = next((tool for tool in toolbox.tools if tool.name == own.call), None)
        if called is not None:
            yield own.text
            toolbox.tell(called.name, intent.arguments(said, called))
            return
        # What was obeyed once is not obeyed again, though nobody heard the answer.
        wish = unanswered(rows[self._obeyed :])
        decision = self._intent.hear(wish, toolbox.tools, self._clock(), self._lexicon)
        if isinstance(decision, tuple):
            self._obeyed = len(rows)
            async with contextlib.aclosing(
                errand.carry_out(decision, toolbox, self._speaker)
            ) as words:
                async for delta in words:
                    yield delta
        elif isinstance(decision, intent.Ask):
            yield self._speaker.say(decision.kind, **decision.words)
        elif isinstance(decision, intent.Leave):
            yield self._speaker.say("left")
        else:
            async for delta in self._talked(rows, own.text):
                yield delta

    async def _talked(self, rows: Sequence[Row], own: str) -> AsyncGenerator[str, None]:
        """Yield what is said where nothing is to be done."""
        spoke = False
        if self._settings.model == SMALL_MODEL and not self._settings.endpointurl:
            model = small_model.answer(self._small_model, self._settings, rows)
            async for delta in self._tried(model):
                spoke = True
                yield delta
        if not spoke:
            yield own

    async def _tried(self, model: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """Yield a model's words; where it fails, that is told."""
        try:
            async with contextlib.aclosing(model):
                async for delta in model:
                    yield delta
        except VoicedError as error:
            self._trouble("reply_engine", f"{error}; the persona answers meanwhile")

    def _take_persona(self, rows: Sequence[Row]) -> None:
        self._talk = self._persona(self._settings)
        self._talk.prime(tuple(rows))
        self._speaker = Speaker(self._talk.phrases)
        self._lexicon = self._talk.phrases.lexicon()

    def _persona(self, settings: Settings) -> persona.Talk:
        named = settings.model
        if settings.endpointurl or named == SMALL_MODEL:
            named = ""
        try:
            return persona.Talk(persona.load(named, settings.persona))
        except ConfigError as error:
            self._trouble("persona", f"{error}; the {persona.DEFAULT} answers meanwhile")
            return persona.Talk(persona.load())


class _Used:
    """A toolbox's `call` that counts."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self.calls = 0

    async def call(self, name: str, arguments: str) -> str:
        self.calls += 1
        return await self._toolbox.call(name, arguments)


def unanswered(rows: Sequence[Row]) -> str:
    """Return what the visitor said since the last assistant row."""
    said: list[str] = []
    for row in reversed(rows):
        if row.role == "assistant" and row.text:  # of an empty one nothing was heard
            break
        if row.role == "user":
            said.append(row.text)
    return " ".join(reversed(said))
