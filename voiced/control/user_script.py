"""One agent's Python file and the process that runs it."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec

from voiced.control.children import Child
from voiced.control.hands import Hands
from voiced.control.osc.limits import Window
from voiced.control.wishes import PAR, ScriptSurface, Wishes
from voiced.lane.words import Owner
from voiced.messages.framing import Hello, Message
from voiced.messages.network import NetworkTrouble
from voiced.messages.scripts import (
    Alive,
    CallbackEnded,
    CallFunction,
    DropFunction,
    FromScripts,
    FunctionEnded,
    FunctionProgress,
    Loaded,
    Loading,
    LoadScript,
    NotLoaded,
    OfferedTool,
    Overran,
    ParameterTold,
    ParameterValues,
    PressPulse,
    Printed,
    RunCallback,
    SetParameter,
    Utter,
)
from voiced.mind.effects import RunTool
from voiced.mind.inputs import (
    AgentInput,
    ExecutorGone,
    HolderGone,
    Origin,
    RegisterTool,
    Tool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)
from voiced.parameters import ROWS, Kind, Refusal

log = logging.getLogger("voiced")

SOURCE: Final = "scripts"
"""onError's word for it."""
AT_ONCE = 8
"""Callbacks that the process has been given and has not finished."""
WAITING = 256
"""Callbacks that may wait for that; what comes then is left out."""
MOST_LOST = 3
"""Times that a function may end the process before it is called no more."""
MOST_RAISED = 10
"""Times in a row that a callback may raise."""
ACQUITTED = 10
"""So many calls in a row without a fault, and what was before is forgotten."""
_REGISTER = "tool/register"
LATEST_ONLY = ("onAudioIn", "onAudioOut")
TEXTS = ("onUserText", "onAssistantText")


class _Record(msgspec.Struct):
    """What is held against a function."""

    lost: int = 0
    raised: int = 0
    good: int = 0
    """Calls since the last fault."""
    told: bool = False
    disabled: bool = False


class _Heard:
    """When the process last said that it lives."""

    def __init__(self) -> None:
        self.at = 0.0

    def age_s(self, owner: Owner) -> float:
        return time.monotonic() - self.at


class UserScript:
    """A script: its process, what it was given, what is held against it.

    Args:
        agent: whose it is.
        put: gives the agent an input.
        limit_s: returns for how long a callback may run.
        rates: returns how many of a kind a minute are taken.
    """

    def __init__(
        self,
        agent: str,
        surface: ScriptSurface,
        hands: Hands,
        put: Callable[[AgentInput], None],
        limit_s: Callable[[], float],
        rates: Callable[[str], int],
    ) -> None:
        self.origin = Origin(kind="script", id=agent)
        self._agent, self._surface, self._put, self._limit_s = agent, surface, put, limit_s
        self._wishes = Wishes(agent, surface, self.origin, rates)
        self._path = ""
        self._heard = _Heard()
        self._child: Child[Any] = hands.script_child(
            agent, self._heard, self._greet, self._take, self._exited
        )
        self._numbers = itertools.count(1)
        self._waiting: deque[RunCallback] = deque()
        self._given: dict[int, RunCallback] = {}
        """Callbacks that the process has, the oldest first."""
        self._called: dict[str, str] = {}
        """Tool calls that the process has: call id -> name."""
        self._calls: list[CallFunction] = []
        """Tool calls that wait for the process."""
        self._ready = False
        """Some version is in force there."""
        self._left_out = 0
        self._complaints = Window(10, 1.0)
        self._forget_file()

    def _forget_file(self) -> None:
        self._waiting.clear()
        self._version = self._good = self._loading = self._bad = self._told_version = ""
        self._overran: Overran | None = None
        self._callbacks: frozenset[str] = frozenset()
        self._offered: dict[str, OfferedTool] = {}
        self._turned_down = ""
        """Why the mind did not take the tool that it was offered last."""
        self._records: dict[str, _Record] = {}

    @property
    def _file(self) -> str:
        return Path(self._path).name

    # --- which file

    def point_to(self, path: str) -> None:
        """Run this file from now on; "" = none."""
        if path == self._path:
            return
        self._path = path
        self._withdraw(self._offered)
        self._forget_file()
        if path:
            self._child.restart()
        else:
            self._child.stop()

    def restart(self) -> None:
        """Run the file afresh, with everything enabled."""
        self._records.clear()
        self._bad = ""
        if self._path:
            self._child.restart()

    def _greet(self) -> Iterable[Message]:
        self._heard.at = time.monotonic()
        names = [n for n, row in ROWS.items() if row.stored]
        yield ParameterValues(
            values={n: self._surface.value(self._agent, PAR, n) for n in names},
            pulses=tuple(n for n, row in ROWS.items() if row.kind is Kind.PULSE),
        )
        yield LoadScript(
            agent=self._agent,
            path=self._path,
            not_version=self._bad,
            last_good=self._good,
        )

    # --- what happens

    def happened(self, name: str, args: tuple[int | float | str, ...]) -> None:
        """Have a callback called, if the script has it."""
        if not self._path or name not in self._callbacks or self._disabled(name):
            return
        callback = RunCallback(
            number=next(self._numbers), name=name, args=args, limit_s=self._limit_s()
        )
        self._make_room(callback)
        if len(self._waiting) >= WAITING:
            if not self._left_out:
                self._tell(
                    "busy", f"{self._file} is too slow: {name} is left out, and what follows"
                )
            self._left_out += 1
            return
        self._waiting.append(callback)
        self._hand_over()

    def _make_room(self, callback: RunCallback) -> None:
        """Drop what waits and is told anew by this one: a turn's text so far, frames."""
        for old in reversed(self._waiting):
            if old.name != callback.name:
                continue
            same_turn = old.name in TEXTS and old.args[2] == callback.args[2] and not old.args[1]
            if same_turn or old.name in LATEST_ONLY:
                self._waiting.remove(old)
            return

    def told(self, message: ParameterTold) -> None:
        """Tell what a parameter holds now."""
        self._child.send(message)

    def hand_over_all(self) -> None:
        """Give the process all that waits, however slow it is."""
        self._hand_over(WAITING)

    def _hand_over(self, most: int = AT_ONCE) -> None:
        while self._waiting and len(self._given) < most:
            callback = self._waiting[0]
            if self._disabled(callback.name):
                self._waiting.popleft()
            elif self._callbacks and self._child.send(callback):
                self._given[callback.number] = self._waiting.popleft()
            else:
                return
        if not self._waiting and self._left_out:
            log.warning("! %s: %d callbacks were left out", self._agent, self._left_out)
            self._left_out = 0

    # --- tools

    def call(self, effect: RunTool) -> None:
        """Have a tool run."""
        message = CallFunction(call_id=effect.call_id, name=effect.name, arguments=effect.arguments)
        # While the process starts, the call waits for it as long as the mind waits for a result.
        self._calls.append(message)
        self._hand_calls_over()

    def drop(self, call_id: str) -> None:
        """Tell the process that nobody waits for a result any more."""
        self._calls = [call for call in self._calls if call.call_id != call_id]
        self._child.send(DropFunction(call_id=call_id))

    def _hand_calls_over(self) -> None:
        while self._ready and self._calls and self._child.send(self._calls[0]):
            call = self._calls.pop(0)
            self._called[call.call_id] = call.name

    def _offer(self, tools: Iterable[OfferedTool]) -> None:
        """Declare what the file offers now; take back what it no longer does."""
        offered = {tool.name: tool for tool in tools if not self._disabled(tool.name)}
        self._withdraw(name for name in self._offered if name not in offered)
        for tool in tuple(offered.values()):
            if self._offered.get(tool.name) == tool:
                continue
            self._turned_down = ""
            self._put(
                RegisterTool(
                    tool=Tool(
                        name=tool.name,
                        description=tool.description,
                        schema=tool.schema,
                        executor=self.origin,
                        mode=tool.mode,
                        confirm=tool.confirm,
                        silence_s=tool.timeout_s,
                    ),
                    origin=self.origin,
                )
            )
            if self._turned_down:
                del offered[tool.name]
                self._tell("tool", f"{tool.name} is not offered: {self._turned_down}")
        self._offered = offered

    def _withdraw(self, names: Iterable[str]) -> None:
        for name in tuple(names):
            self._put(UnregisterTool(name=name, origin=self.origin))

    # --- what the process says

    def _take(self, message: FromScripts) -> None:
        self._heard.at = time.monotonic()
        match message:
            case Hello() | Alive():
                pass
            case Loading(version=version):
                self._loading = version
            case Loaded():
                self._loaded(message)
            case NotLoaded():
                self._not_loaded(message)
            case CallbackEnded(number=number, trouble=trouble):
                self._ended(number, trouble)
            case FunctionEnded():
                self._function_ended(message)
            case FunctionProgress(call_id=call_id, text=text):
                self._put(ToolProgress(call_id=call_id, text=text, origin=self.origin))
            case Overran():
                self._overran = message
            case SetParameter() | PressPulse() | Utter():
                self._wished(message)
            case Printed(line=line):
                log.info("> %s %s: %s", self._agent, self._file, line)
            case _:
                assert_never(message)

    def _wished(self, wish: SetParameter | PressPulse | Utter) -> None:
        judged = self._wishes.judge(wish)
        if isinstance(judged, Refusal):
            self.refused("say or note" if isinstance(wish, Utter) else wish.name, judged.sentence)
        else:
            for item in judged:
                self._put(item)
        if isinstance(wish, SetParameter) and (row := ROWS.get(wish.name)) and row.stored:
            value = self._surface.value(self._agent, PAR, wish.name)
            self._child.send(ParameterTold(name=wish.name, value=value))

    def refused(self, name: str, sentence: str) -> None:
        """Tell the script's author that something it wanted was refused."""
        if name == _REGISTER:
            self._turned_down = sentence  # Told as soon as the mind is through with it.
        elif self._complaints.take(time.monotonic()):
            log.warning("! %s %s: %s was refused: %s", self._agent, self._file, name, sentence)

    def _loaded(self, message: Loaded) -> None:
        self._loading = ""
        if message.version not in ("", self._version):
            self._records.clear()
            self._version = message.version
        if message.version:
            self._bad = ""
        self._good = message.source
        # What it does to its process from here on is held against its functions.
        self._child.supervision.forgive()
        self._callbacks = frozenset(message.callbacks)
        self._offer(message.tools)
        log.info(
            "= %s: %s is in force%s, callbacks: %s; tools: %s",
            self._agent, self._file, "" if message.version else " as it last could be run",
            ", ".join(message.callbacks) or "none",
            ", ".join(self._offered) or "none",
        )  # fmt: skip
        for remark in message.remarks:
            log.warning("! %s %s: %s", self._agent, self._file, remark)
        self._ready = True
        self._hand_calls_over()
        self._hand_over()

    def _not_loaded(self, message: NotLoaded) -> None:
        self._loading = ""
        if message.version == self._told_version:
            return
        self._told_version = message.version
        goes_on = "; the version before it goes on" if self._good else ""
        self._tell("load", f"{self._file} cannot be used: {message.sentence}{goes_on}")

    def _ended(self, number: int, trouble: str) -> None:
        callback = self._given.pop(number, None)
        if callback is not None and not trouble:
            self._acquit(callback.name)
        elif callback is not None:
            self._raised(callback.name, trouble)
        self._hand_over()

    def _function_ended(self, message: FunctionEnded) -> None:
        self._called.pop(message.call_id, None)
        if message.trouble:
            # Raising is how a tool says that it failed: it is told, and called as ever.
            self._tell_once(self._record(message.name), message.name, "raised", message.trouble)
        else:
            self._acquit(message.name)
        self._put(
            ToolAnswer(
                call_id=message.call_id, ok=message.ok, result=message.result, origin=self.origin
            )
        )

    # --- its end, and what is held against whom

    def _exited(self, sentence: str, asked: bool) -> None:
        given, self._given = list(self._given.values()), {}
        called, self._called = self._called, {}
        overran, self._overran = self._overran, None
        loading, self._loading = self._loading, ""
        self._ready = False
        self._calls.clear()  # ExecutorGone answers these too.
        if not asked:
            why = overran.sentence if overran is not None else sentence
            log.warning("! %s: the scripts process is gone: %s", self._agent, why)
            if loading:
                self._bad = self._told_version = loading
                goes_on = "; until then the version before it goes on" if self._good else ""
                sentence = f"{self._file} cannot be run: {why}. Mend it and save it{goes_on}"
                self._tell("load", sentence)
            # The oldest ran; the others only waited, and all of them for the file.
            ran, given = ([], given) if loading else (given[:1], given[1:])
            suspects = [*(each.name for each in ran), *dict.fromkeys(called.values())]
            if overran is not None:
                suspects = [overran.name] if overran.name in suspects else []
            for name in suspects:
                self._lost(name, why)
            self._waiting.extendleft(reversed(given))
        self._put(HolderGone(origin=self.origin))
        self._put(ExecutorGone(origin=self.origin, for_good=False))

    def _record(self, name: str) -> _Record:
        return self._records.setdefault(name, _Record())

    def _disabled(self, name: str) -> bool:
        record = self._records.get(name)
        return record is not None and record.disabled

    def _acquit(self, name: str) -> None:
        record = self._records.get(name)
        if record is not None and not record.disabled:
            record.raised, record.good = 0, record.good + 1
            if record.good >= ACQUITTED:
                del self._records[name]

    def _raised(self, name: str, trouble: str) -> None:
        record = self._record(name)
        record.raised += 1
        self._hold(record, name, "raised", trouble, record.raised, MOST_RAISED)

    def _lost(self, name: str, why: str) -> None:
        record = self._record(name)
        record.lost += 1
        self._hold(record, name, "lost", why, record.lost, MOST_LOST)

    def _hold(self, record: _Record, name: str, code: str, why: str, count: int, most: int) -> None:
        """Tell a function's fault, once; call it no more where it fails again and again."""
        record.good = 0
        if count >= most and not record.disabled:
            record.disabled = True
            self._tell(
                "disabled",
                f"{name} is called no more: it failed {count} times, last: {why}. "
                f"Mend {self._file} and save it, or pulse Initialize: that enables it again",
            )
            if name in self._offered:
                self._withdraw([name])
                del self._offered[name]
        else:
            self._tell_once(record, name, code, why)

    def _tell_once(self, record: _Record, name: str, code: str, why: str) -> None:
        if not record.told:
            record.told = True
            self._tell(code, f"{name} failed: {why}")
        else:
            log.warning("! %s: %s failed again: %s", self._agent, name, why)

    def _tell(self, code: str, sentence: str) -> None:
        self._put(NetworkTrouble(source=SOURCE, code=code, sentence=sentence))
