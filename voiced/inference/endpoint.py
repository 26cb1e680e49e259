"""Any OpenAI-compatible chat service as the reply engine: llama.cpp, Ollama, vLLM, LM Studio...

POST {base}/chat/completions with `stream: true`, server-sent events back ("Create chat completion"
and "Streaming" in OpenAI's API reference), through the `openai` package, imported at first use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from voiced.errors import VoicedError
from voiced.inference import persona
from voiced.inference.phrases import spoken
from voiced.messages.inference import Declaration, Row, Settings

INSTRUCTIONS: Final = (
    "You are the voice of an exhibition and talk with a visitor. Your words are spoken aloud: "
    "answer in one or two short sentences of plain speech, without lists, markup or emoji."
)
_CONNECT_S: Final = 3.0
_SILENCE_S: Final = 15.0
"""Longest wait for the next piece of an answer."""
_MAX_TOKENS: Final = 200
_MAX_ROUNDS: Final = 4
"""Tool rounds within one answer."""
_ROWS: Final = 40
"""Rows of the conversation that the model is shown."""


class EndpointFailed(VoicedError):
    """The chat service did not answer; the text says what to look at."""


class _Asked(msgspec.Struct, kw_only=True):
    """A tool call as it streams in."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


async def answer(
    settings: Settings,
    rows: Sequence[Row],
    tools: Sequence[Declaration],
    call: Callable[[str, str], Awaitable[str]],
) -> AsyncGenerator[str, None]:
    """Yield the answer's words as they come.

    Raises:
        EndpointFailed: the service cannot be reached, refuses, or breaks off.
    """
    try:
        # Its first import takes seconds, more than ten on a busy machine: beside the loop, or every
        # conversation would stand still and the process count as hung.
        await asyncio.to_thread(import_module, "openai")
        import httpx2
        import openai
    except ImportError as error:
        raise EndpointFailed(
            "Endpointurl needs the package openai, which is not installed: pip install openai"
        ) from error
    messages = turns(settings.systemprompt or INSTRUCTIONS, rows[-_ROWS:])
    try:
        _ = urlsplit(settings.endpointurl).port  # ValueError for one that no socket would take
        client = openai.AsyncOpenAI(
            base_url=settings.endpointurl,
            api_key="none",  # the endpoints this is for take any
            timeout=openai.Timeout(_SILENCE_S, connect=_CONNECT_S),
            max_retries=0,
        )
        async with client:
            for _ in range(_MAX_ROUNDS):
                asked: dict[int, _Asked] = {}
                async for delta in _round(client, settings, messages, tools, asked):
                    yield delta
                if not asked:
                    return
                messages.append(_calls_message(asked))
                for one in asked.values():
                    result = await call(one.name, one.arguments or "{}")
                    messages.append(
                        {"role": "tool", "tool_call_id": one.call_id, "content": result}
                    )
    except openai.APIStatusError as error:
        raise EndpointFailed(
            f"the chat service at {settings.endpointurl} answered with status "
            f"{error.status_code}: check Endpointurl and Model"
        ) from error
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise EndpointFailed(
            f"the chat service at {settings.endpointurl} did not answer "
            f"({type(error).__name__}): is it running, and is Endpointurl its base address?"
        ) from error


async def _round(
    client: Any,
    settings: Settings,
    messages: list[dict[str, Any]],
    tools: Sequence[Declaration],
    asked: dict[int, _Asked],
) -> AsyncGenerator[str, None]:
    """Yield the words of one completion; its tool calls go to `asked`."""
    optional: dict[str, Any] = {}
    if tools:
        optional["tools"] = [_tool(tool) for tool in tools]
    named = settings.model if settings.model not in persona.names() else ""
    stream = await client.chat.completions.create(
        model=named or "default",
        messages=messages,
        stream=True,
        max_tokens=_MAX_TOKENS,
        **optional,
    )
    async with stream:
        async for chunk in stream:
            if not chunk.choices:
                continue
            delta = chunk.choices[0].delta
            if delta.content:
                yield spoken(delta.content)
            for part in delta.tool_calls or ():
                one = asked.setdefault(part.index, _Asked())
                one.call_id = part.id or one.call_id or f"call_{part.index}"
                if part.function is not None:
                    one.name += part.function.name or ""
                    one.arguments += part.function.arguments or ""


def turns(instructions: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the conversation as chat services take it, without rows that nobody heard."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": instructions}]
    for row in rows:
        if row.text:
            role = row.role if row.role in {"user", "assistant"} else "system"
            messages.append({"role": role, "content": row.text})
    return messages


def _tool(tool: Declaration) -> dict[str, Any]:
    try:
        parameters = msgspec.json.decode(tool.parameters)
    except msgspec.DecodeError:
        parameters = {}
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters or {"type": "object", "properties": {}},
        },
    }


def _calls_message(asked: dict[int, _Asked]) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": one.call_id,
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments or "{}"},
            }
            for one in asked.values()
        ],
    }
