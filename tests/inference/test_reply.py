"""Who answers, and what becomes of the calls: without engines, without a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from voiced.inference import errand
from voiced.inference.errand import Begun, Result
from voiced.inference.reply import Answerer
from voiced.messages.inference import Declaration, Row, Settings

COLOR = {"color": {"type": "string", "enum": ["red", "green"]}}
SCHEMA = json.dumps({"type": "object", "properties": COLOR, "required": ["color"]})
LIGHTS = Declaration(name="set_lights", description="Turn the lights", parameters=SCHEMA)
DOOR = Declaration(name="open_door", description="Open the door")
END = Declaration(name="end_conversation", description="End this conversation")


class Hands:
    """A toolbox whose results the test gives."""

    def __init__(self, *tools: Declaration) -> None:
        self.tools = tools
        self.begun: list[tuple[str, str, Begun]] = []
        self.told: list[tuple[str, str]] = []
        self.dropped: list[str] = []
        self.announced: list[str] = []
        self.answers: dict[str, Result] = {}
        self.called = asyncio.Event()

    async def call(self, name: str, arguments: str) -> str:
        raise AssertionError("no chat service here")

    def tell(self, name: str, arguments: str) -> str:
        self.told.append((name, arguments))
        return "t"

    def begin(self, name: str, arguments: str) -> Begun:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if name in self.answers:
            future.set_result(self.answers[name])
        begun = Begun(call_id=f"c{len(self.begun) + 1}", result=future)
        self.begun.append((name, arguments, begun))
        self.called.set()
        return begun

    def drop(self, call_id: str) -> None:
        self.dropped.append(call_id)

    def announce(self, text: str) -> None:
        self.announced.append(text)


class Conversation:
    def __init__(self, hands: Hands, rows: list[Row] | None = None, **more: Any) -> None:
        self.hands, self.rows = hands, rows if rows is not None else []
        self.troubles: list[str] = []
        unused: Any = None
        self.answerer = Answerer(
            Settings(**more), self.rows, unused, lambda code, _: self.troubles.append(code)
        )

    async def say(self, text: str, heard: bool = True) -> str:
        """Return the answer; where it was not heard, nothing of it stays."""
        self.rows.append(Row(role="user", text=text))
        deltas = [delta async for delta in self.answerer.answer(self.rows, self.hands)]
        answer = "".join(deltas)
        self.rows.append(Row(role="assistant", text=answer if heard else ""))
        return answer


def test_a_call_and_its_confirmation() -> None:
    async def scene() -> None:
        hands = Hands(END, LIGHTS, DOOR)
        hands.answers = {
            "set_lights": Result(ok=True, text="done"),
            "open_door": Result(ok=False, text="the lock is stuck"),
        }
        talk = Conversation(hands)
        assert await talk.say("Turn the lights red.") == "Done."
        assert await talk.say("Open the door.") == "That did not work: the lock is stuck."
        both = "Done. That did not work: the lock is stuck."
        assert await talk.say("Turn the lights green and open the door.") == both
        assert [(name, json.loads(given)) for name, given, _ in hands.begun] == [
            ("set_lights", {"color": "red"}),
            ("open_door", {}),
            ("set_lights", {"color": "green"}),
            ("open_door", {}),
        ]
        assert await talk.say("Please do not turn the lights red.") == (
            "All right, I leave it as it is."
        )
        assert await talk.say("Turn the lights.") == "Which color: red, green?"
        assert await talk.say("Green.") == "Done."
        assert "elcome" in await talk.say("Hello!")
        assert len(hands.begun) == 5

    asyncio.run(scene())


def test_what_was_obeyed_is_not_obeyed_again_though_nobody_heard_the_answer() -> None:
    async def scene() -> None:
        hands = Hands(LIGHTS)
        hands.answers = {"set_lights": Result(ok=True, text="done")}
        talk = Conversation(hands)
        await talk.say("Turn the lights red.", heard=False)
        await talk.say("Thank you.")
        assert len(hands.begun) == 1
        # What an older leg has heard is past as well, unless it is taken up.
        old = [Row(role="user", text="Turn the lights red.")]
        await Conversation(hands, list(old)).say("Hello.")
        assert len(hands.begun) == 1
        again = Conversation(hands, list(old))
        again.answerer.take_up()
        await again.say("Please.")
        assert len(hands.begun) == 2

    asyncio.run(scene())


def test_the_goodbye_comes_before_the_end() -> None:
    async def scene() -> None:
        hands = Hands(END)
        assert await Conversation(hands).say("End the conversation.") == "Goodbye."
        assert hands.told == [("end_conversation", "{}")]
        assert not hands.begun

    asyncio.run(scene())


def test_a_rule_of_the_persona_comes_first_and_has_its_arguments_filled(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "name = 'mine'\n[[rule]]\nheard = ['abracadabra']\nreplies = ['Behold.']\n"
        "call = 'set_lights'\n[[rule]]\nheard = ['']\nreplies = ['Hm.']\n"
        "[tools]\ndone = ['Voilà.']\n"
    )

    async def scene() -> None:
        hands = Hands(LIGHTS)
        hands.answers = {"set_lights": Result(ok=True, text="")}
        talk = Conversation(hands, persona=str(file))
        assert await talk.say("Abracadabra, turn it green!") == "Behold."
        assert hands.told == [("set_lights", '{"color":"green"}')]
        assert await talk.say("Turn the lights red.") == "Voilà."
        assert await talk.say("What a day.") == "Hm."

    asyncio.run(scene())


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "_SHORT_S", 0.01)
    monkeypatch.setattr(errand, "_LONG_S", 0.01)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_result_that_takes_long_is_told_when_it_comes(hurried: None, blocking: bool) -> None:
    async def scene() -> None:
        slow = Declaration(name="open_door", description="Open the door", blocking=blocking)
        hands = Hands(slow)
        answer = await Conversation(hands).say("Open the door.")
        assert answer.strip() == "One moment."
        assert not hands.dropped
        hands.begun[0][2].result.set_result(Result(ok=True, text="The door is open"))
        await asyncio.sleep(0)
        assert hands.announced == ["The door is open."]

    asyncio.run(scene())


def test_a_visitor_who_interrupts_takes_the_call_back() -> None:
    async def scene() -> None:
        hands = Hands(DOOR)
        talk = Conversation(hands)
        reply = asyncio.create_task(talk.say("Open the door."))
        await hands.called.wait()
        reply.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reply
        assert hands.dropped == ["c1"]

    asyncio.run(scene())
