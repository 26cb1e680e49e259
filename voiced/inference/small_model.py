"""The packaged small language model (SmolLM2-135M) in this process, through llama.cpp.

Fluent, and not to be relied upon: it invents, and forgets who it is. So its answers are short, end
with a whole sentence where they can, and stop when they begin to repeat themselves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgspec

from voiced.inference import models
from voiced.inference.endpoint import INSTRUCTIONS, turns
from voiced.inference.phrases import spoken
from voiced.inference.worker import Worker
from voiced.messages.inference import Row, Settings

_MAX_TOKENS: Final = 40
_ROWS: Final = 6
"""It is confused by more of the conversation."""
_CONTEXT: Final = 2_048


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Chunk(msgspec.Struct):
    choices: tuple[_Choice, ...]


class _Ended:
    """Takes the place of a delta when there is no other."""


class SmallModel:
    """SmolLM2, loaded once; one answer at a time.

    Raises:
        EngineUnavailable: the model or its package is missing.
    """

    def __init__(self) -> None:
        place = models.verified(models.REPLY)
        if place.is_dir():
            place = place / next(iter(models.REPLY.files))
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(place)
        parameters.n_ctx = _CONTEXT
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = 1
        parameters.warmup = False
        parameters.verbosity = -1
        # The package opens a port on the loopback, wanted or not: nobody has the key to it.
        parameters.api_keys = [secrets.token_urlsafe()]
        parameters.endpoint_slots = parameters.endpoint_props = False
        self._server: Any = xllamacpp.Server(parameters)

    def answer(self, messages: list[dict[str, Any]], heard: Any) -> None:
        """Call `heard` with each piece of the answer; return when it is complete."""

        def take(chunk: dict[str, Any]) -> None:
            for choice in msgspec.convert(chunk, _Chunk).choices:
                if choice.delta.content:
                    heard(choice.delta.content)

        request = {
            "messages": messages,
            "max_tokens": _MAX_TOKENS,
            "temperature": 0,
            "repeat_penalty": 1.15,
            "stream": True,
        }
        self._server.handle_chat_completions(request, take)


async def answer(
    worker: Worker[SmallModel], settings: Settings, rows: Sequence[Row]
) -> AsyncGenerator[str, None]:
    """Yield the answer's words as they come.

    Raises:
        EngineUnavailable: the model or its package is missing.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | _Ended] = asyncio.Queue()

    def hand_over(piece: str | _Ended) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, piece)

    asked = turns(settings.systemprompt or INSTRUCTIONS, rows[-_ROWS:])
    job = worker.submit(lambda model: model.answer(asked, hand_over))
    job.add_done_callback(lambda _: pieces.put_nowait(_Ended()))
    sentence = ""
    said: set[str] = set()
    while not isinstance(piece := await pieces.get(), _Ended):
        sentence += spoken(piece)
        if not sentence.rstrip().endswith((".", "!", "?")):
            continue
        if sentence.strip() in said:
            break
        said.add(sentence.strip())
        yield sentence
        sentence = ""
    if sentence and not said:
        yield sentence.rstrip() + "."  # cut off in its first sentence: better than nothing
    if job.done():
        job.result()  # raises what went wrong


def load() -> SmallModel:
    """Return the model, loaded (about a second).

    Raises:
        EngineUnavailable: the model or its package is missing.
    """
    return SmallModel()
