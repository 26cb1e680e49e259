"""What the sessions of OpenAI and xAI have in common: when a script's faults come."""

from __future__ import annotations

from voiced.emulators.link import Link
from voiced.emulators.realtime_reply import Response
from voiced.emulators.script import Fault
from voiced.emulators.server import Emulator, Session


class RealtimeSession(Session):
    """A session whose replies are responses.

    Args:
        emulator: whose it is.
        link: its connection.
    """

    def __init__(self, emulator: Emulator, link: Link) -> None:
        super().__init__(emulator, link)
        self.number = link.number
        self._played: set[int] = set()

    async def pause(self, seconds: float) -> None:
        """Wait in the emulator's time."""
        await self.emulator.pause(seconds)

    async def sounded(self, reply: Response, before_ms: int) -> None:
        """Note what was sent since `before_ms`, and play the faults that lie in it."""
        self.link.record.audio_out_s += (reply.audio_ms - before_ms) / 1000
        for fault in self.due_in_reply(reply.number, before_ms, reply.audio_ms):
            await self._play_once(fault)

    async def sounded_all(self, reply: Response) -> None:
        """Play the faults that lie behind the reply's audio."""
        for fault in self.script.fault:
            if fault.reply == reply.number:
                await self._play_once(fault)

    def loses_done(self, number: int) -> bool:
        """Whether the end of this reply is lost."""
        return any(f.what == "lost_done" and f.reply == number for f in self.script.fault)

    async def _play_once(self, fault: Fault) -> None:
        if id(fault) not in self._played:
            self._played.add(id(fault))
            await self.play(fault)
