"""All conversations: who is open, and which message is whose."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from voiced.inference.dialogue import Dialogue
from voiced.inference.engines import Engines
from voiced.inference.wire import Wire
from voiced.inference.worker import watched
from voiced.messages import inference as messages

logger = logging.getLogger(__name__)


class Service:
    """The local voice behind one wire.

    Args:
        end: the packet socket to the network process.
        closed: called once if that socket's other end is gone for good.
    """

    def __init__(self, end: socket.socket, closed: Callable[[], None]) -> None:
        self._wire = Wire(end, self._receive, closed)
        self._engines = Engines()
        self._dialogues: dict[str, Dialogue] = {}
        self._unknown: set[str] = set()
        self._warming: asyncio.Task[None] | None = None
        self._generation = 0

    def start(self) -> None:
        """Say `Ready` and listen."""
        self._ready()
        self._wire.start()

    def close(self) -> None:
        """End every conversation."""
        self._drop_all()
        self._engines.close()

    def _receive(self, message: messages.ToInference) -> None:
        match message:
            case messages.Hello(generation=generation):
                logger.info("< hello generation=%d", generation)
                self._drop_all()
                self._wire.forget()
                self._generation = generation
                self._ready()
            case messages.Warm():
                self._warm()
            case messages.Open(conversation=name):
                self._drop(name)
                self._unknown.discard(name)
                logger.info("< open %s", name)
                self._dialogues[name] = Dialogue(message, self._engines, self._wire)
                self._warm()
            case messages.Close(conversation=name):
                logger.info("< close %s", name)
                self._drop(name)
            case _:
                dialogue = self._dialogues.get(message.conversation)
                if dialogue is not None:
                    dialogue.receive(message)
                else:
                    self._not_open(message.conversation)

    def _ready(self) -> None:
        self._wire.send(
            messages.Ready(
                generation=self._generation,
                instance=os.getpid(),
                engines=self._engines.available(),
            )
        )

    def _not_open(self, name: str) -> None:
        """Tell once that a conversation is spoken of which is not open here."""
        if name in self._unknown or len(self._unknown) > 1_000:
            return
        self._unknown.add(name)
        self._wire.send(
            messages.Trouble(
                conversation=name,
                code="not_open",
                sentence=f"the conversation {name} is not open in the local voice: open it again",
                fatal=True,
            )
        )

    def _warm(self) -> None:
        if self._warming is None or self._warming.done():
            self._warming = watched(asyncio.create_task(self._load(), name="warm"))

    async def _load(self) -> None:
        for sentence in await self._engines.warm():
            logger.warning("! %s", sentence)
            self._wire.send(
                messages.Trouble(conversation="", code="engine", sentence=sentence, fatal=False)
            )

    def _drop(self, name: str) -> None:
        dialogue = self._dialogues.pop(name, None)
        if dialogue is not None:
            dialogue.close()

    def _drop_all(self) -> None:
        for name in list(self._dialogues):
            self._drop(name)
        self._unknown.clear()
