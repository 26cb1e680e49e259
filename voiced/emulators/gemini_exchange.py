"""One answer of an emulated Gemini: from the user's words to the turn's end.

    words -> inputTranscription -> [toolCall -> toolResponse]* -> audio and outputTranscription
          -> generationComplete -> (about the end of playback) turnComplete with usageMetadata

An interruption cuts it wherever it is: interrupted, toolCallCancellation, turnComplete; no
generationComplete. A model that thinks at length ends turns before its last with IN_PROGRESS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from voiced.emulators import gemini_memory
from voiced.emulators import gemini_told as told
from voiced.emulators.gemini_memory import Spent
from voiced.emulators.gemini_told import InteractionStatus, ServerContent, ServerMessage
from voiced.emulators.script import Call, Reply
from voiced.emulators.server import END_MS

if TYPE_CHECKING:
    from voiced.emulators.gemini_session import GeminiSession

RATE_OUT: Final = 24000
_MIME: Final = f"audio/pcm;rate={RATE_OUT}"
_SOURCE: Final = told.GroundingChunk(
    web=told.Web(uri="https://example.org/a", title="example.org", domain="example.org")
)


class Returned(msgspec.Struct, frozen=True):
    """What functions returned: the model tells it."""

    text: str


Words = str | Returned | Callable[[], Awaitable[str]]
"""What is answered: typed words, what functions returned, or a function that returns what was
said."""


class Exchange:
    """One answer, running as a task.

    Args:
        session: the connection it is given on.
        words: what it answers.
    """

    def __init__(self, session: GeminiSession, words: Words) -> None:
        self._session, self._words = session, words
        self._said, self._audio_ms, self._searches = "", 0, 0
        self._began_s = 0.0
        self._reason = ""
        self._grounding: told.GroundingMetadata | None = None
        self._results: list[str] = []
        self._answered = asyncio.Event()
        self._task = session.link.spawn(self._run(), "exchange")

    def interrupt(self) -> None:
        """Cut it off, as a barge-in does."""
        session = self._session
        self._task.cancel()
        session.tell(ServerMessage(server_content=ServerContent(interrupted=True)))
        session.calls.cancel(self)
        self._end_turn(self._last_status(), metered=session.options.interrupted_usage)

    def take_result(self, text: str) -> None:
        """Go on with what a BLOCKING function returned, once none of them is missing."""
        self._results.append(text)
        if not self._session.calls.waits(self):
            self._answered.set()

    async def _run(self) -> None:
        session = self._session
        prompt = self._words if isinstance(self._words, str | Returned) else await self._words()
        if session.swallows():
            return  # and nothing more: what the client has to notice
        if prompt:
            if session.model.in_progress and session.options.filler:
                await self._speak(session.options.filler, 0, Reply())
                await self._end_generation(InteractionStatus.IN_PROGRESS)
            await self._reply(prompt)
        await self._end_generation(self._last_status())
        session.finished(self)

    async def _reply(self, prompt: str | Returned) -> None:
        session = self._session
        while True:
            number, reply = session.next_reply()
            await session.emulator.pause(reply.delay_s)
            says, calls = self._plan(reply, prompt)
            if reply.fails:
                self._reason = reply.fails
                return
            if isinstance(prompt, str) and session.searches_for(prompt):
                self._search(prompt)
            await self._speak(says, number, reply)
            if not calls:
                return
            session.calls.make(calls, self)
            if not session.calls.waits(self):
                if session.model.silent_non_blocking:
                    await asyncio.Event().wait()  # the model never speaks again of its own accord
                return
            self._results.clear()
            self._answered.clear()
            await self._answered.wait()
            prompt = Returned(" and ".join(self._results))

    def _plan(self, reply: Reply, prompt: str | Returned) -> tuple[str, list[Call]]:
        session = self._session
        if reply.says is not None or reply.calls:
            return reply.says or "", reply.calls
        if isinstance(prompt, Returned):
            return prompt.text, []
        tool = session.emulator.script.called_by(prompt)
        if tool is not None and session.calls.declared(tool.name):
            return tool.says, [Call(name=tool.name, arguments=tool.arguments)]
        return session.own_answer(prompt), []

    def _search(self, prompt: str) -> None:
        """Send the status line of a search and what it found."""
        self._searches += 1
        query = prompt.rstrip(".?! ")
        code = told.ExecutableCode(language="PYTHON", code=f'concise_search("{query}")')
        found = told.CodeExecutionResult(outcome="OUTCOME_OK", output="Looking up information")
        for part in (told.Part(executable_code=code), told.Part(code_execution_result=found)):
            turn = told.Content(role="model", parts=[part])
            self._session.tell(ServerMessage(server_content=ServerContent(model_turn=turn)))
        self._grounding = told.GroundingMetadata(
            web_search_queries=[query],
            grounding_chunks=[_SOURCE],
            grounding_supports=[
                told.GroundingSupport(
                    segment=told.Segment(end_index=len(query), text=query),
                    grounding_chunk_indices=[0],
                    confidence_scores=[0.9],
                )
            ],
            search_entry_point=told.SearchEntryPoint(rendered_content="<div></div>"),
        )

    async def _speak(self, text: str, number: int, reply: Reply) -> None:
        """Send `text` as audio, with its words where the client asked for them."""
        session, played_ms = self._session, -1
        where = session.options.transcript if session.transcribes_output else "none"
        if where == "ahead":
            self._send_words(text)
        if text:
            session.link.record.said.append(text)
            self._think()
        async for delta in session.emulator.mouth.speak(text, RATE_OUT):
            if delta.start_ms:
                await session.emulator.pause(reply.gap_s)
            for fault in session.due_in_reply(number, played_ms + 1, delta.start_ms + 1):
                session.tell(fault)
            played_ms = delta.start_ms
            self._began_s = self._began_s or session.now_s
            self._said += delta.text
            self._audio_ms += delta.ms
            session.link.record.audio_out_s += delta.ms / 1000
            self._send_audio(delta.audio, delta.text if where == "beside" else "")
        if where == "behind":
            self._send_words(text)
        for fault in session.due_in_reply(number, played_ms + 1, END_MS + 1):
            session.tell(fault)

    def _think(self) -> None:
        """Send reasoning, where the client asked to see it: never to be shown."""
        config = self._session.setup.generation_config
        wanted = config.thinking_config if config else None
        if wanted is not None and wanted.include_thoughts:
            thought = told.Part(text="The visitor wants an answer.", thought=True)
            turn = told.Content(role="model", parts=[thought])
            self._session.tell(ServerMessage(server_content=ServerContent(model_turn=turn)))

    def _send_audio(self, audio: bytes, words: str) -> None:
        blob = told.Blob(mime_type=_MIME, data=audio)
        content = ServerContent(
            model_turn=told.Content(role="model", parts=[told.Part(inline_data=blob)]),
            output_transcription=told.Transcription(text=words) if words else None,
            grounding_metadata=self._grounding,
        )
        self._grounding = None
        self._session.tell(ServerMessage(server_content=content))

    def _send_words(self, text: str) -> None:
        for word in text.split(" "):
            piece = told.Transcription(text=word + " ")
            content = ServerContent(output_transcription=piece)
            self._session.tell(ServerMessage(server_content=content))

    async def _end_generation(self, status: InteractionStatus | None) -> None:
        """Say that all audio is in, and, about when it was heard, that the turn is over."""
        session = self._session
        if self._audio_ms:
            session.tell(ServerMessage(server_content=ServerContent(generation_complete=True)))
            heard_s = self._began_s + self._audio_ms / 1000
            await session.emulator.pause(max(0.0, heard_s - session.now_s))
        if session.loses_done:
            session.loses_done = False
        else:
            self._end_turn(status)

    def _last_status(self) -> InteractionStatus | None:
        return InteractionStatus.IDLE if self._session.model.idle else None

    def _end_turn(self, status: InteractionStatus | None, *, metered: bool = True) -> None:
        session, options = self._session, self._session.options
        spent = Spent(
            audio_ms=self._audio_ms,
            thoughts=options.thoughts if self._audio_ms else 0,
            searches=self._searches,
            cached=options.cached,
            unlabelled=options.unlabelled,
        )
        used = gemini_memory.usage(session.conversation, session.setup, spent)
        content = ServerContent(
            turn_complete=True,
            turn_complete_reason=self._reason,
            interaction_status=status,
            waiting_for_input=options.waiting,
        )
        how = options.usage or ("beside" if session.model.idle else "alone")
        how = how if metered else "none"
        if how == "alone":
            session.tell(ServerMessage(usage_metadata=used))
        beside = used if how == "beside" else None
        session.tell(ServerMessage(server_content=content, usage_metadata=beside))
        if how != "none":
            session.book(used, self._searches)
        if self._said:
            audio = used.response_token_count
            session.conversation.add("model", self._said, gemini_memory.Tokens(audio=audio))
        self._said, self._audio_ms, self._searches, self._began_s = "", 0, 0, 0.0
