"""Who answers: the persona, or a language model with the persona as its stand-in.

An answer is a stream of words and tool calls. Where a model fails before its first word, that is
told and the persona answers, so that a visitor is never left in silence.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, Protocol

from voiced.errors import ConfigError, VoicedError
from voiced.inference import endpoint, persona, small_model
from voiced.inference.worker import Worker
from voiced.messages.inference import Declaration, Row, Settings

SMALL_MODEL: Final = "smollm2"


class Toolbox(Protocol):
    """The tools of a conversation; arguments are JSON."""

    tools: tuple[Declaration, ...]

    async def call(self, name: str, arguments: str) -> str:
        """Call a tool and return what the model is told of it."""

    def tell(self, name: str, arguments: str) -> str:
        """Call a tool without waiting for what comes of it; return the call's id."""


class Answerer:
    """Answers one conversation.

    Args:
        settings: which persona, which model.
        rows: the conversation so far.
        small: runs the packaged language model.
        trouble: called with a code and a sentence about what did not work and what is done instead.
    """

    def __init__(
        self,
        settings: Settings,
        rows: Sequence[Row],
        small: Worker[small_model.SmallModel],
        trouble: Callable[[str, str], None],
    ) -> None:
        self._small_model = small
        self._trouble = trouble
        self._settings = settings
        self._talk = self._persona(settings)
        self._talk.prime(tuple(rows))

    def update(self, settings: Settings, rows: Sequence[Row]) -> None:
        """Take new settings; another persona is told what was said so far."""
        before, self._settings = self._settings, settings
        if (before.persona, before.model) != (settings.persona, settings.model):
            self._talk = self._persona(settings)
            self._talk.prime(tuple(rows))

    async def answer(self, rows: Sequence[Row], toolbox: Toolbox) -> AsyncGenerator[str, None]:
        """Yield the answer to what the visitor said since the last assistant row."""
        said = unanswered(rows)
        # The persona hears everything, so that it knows what was said when it has to step in.
        own = self._talk.answer(said)
        model = self._model(rows, toolbox)
        if model is not None:
            spoke = False
            try:
                async with contextlib.aclosing(model):
                    async for delta in model:
                        spoke = True
                        yield delta
            except VoicedError as error:
                self._trouble("reply_engine", f"{error}; the persona answers meanwhile")
            if spoke:
                return
        yield own.text
        if own.call and any(tool.name == own.call for tool in toolbox.tools):
            toolbox.tell(own.call, "{}")

    def _model(self, rows: Sequence[Row], toolbox: Toolbox) -> AsyncGenerator[str, None] | None:
        if self._settings.endpointurl:
            return endpoint.answer(self._settings, rows, toolbox.tools, toolbox.call)
        if self._settings.model == SMALL_MODEL:
            return small_model.answer(self._small_model, self._settings, rows)
        return None

    def _persona(self, settings: Settings) -> persona.Talk:
        named = settings.model
        if settings.endpointurl or named == SMALL_MODEL:
            named = ""
        try:
            return persona.Talk(persona.load(named, settings.persona))
        except ConfigError as error:
            self._trouble("persona", f"{error}; the {persona.DEFAULT} answers meanwhile")
            return persona.Talk(persona.load())


def unanswered(rows: Sequence[Row]) -> str:
    """Return what the visitor said since the last assistant row."""
    said: list[str] = []
    for row in reversed(rows):
        if row.role == "assistant" and row.text:  # of an empty one nothing was heard
            break
        if row.role == "user":
            said.append(row.text)
    return " ".join(reversed(said))
