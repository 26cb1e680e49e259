"""The scripts process' main loop: control's words, the file's changes, and what runs too long."""

from __future__ import annotations

import faulthandler
import os
import select
import socket
import time
from pathlib import Path
from typing import TextIO, assert_never

from voiced.errors import ExitCode, RemoteProtocolError
from voiced.messages.framing import PROTOCOL_VERSION, Decoder, Hello, Shutdown
from voiced.messages.scripts import (
    LONGEST_TEXT,
    Alive,
    CallbackEnded,
    CallFunction,
    DropFunction,
    FunctionEnded,
    Loaded,
    Loading,
    LoadScript,
    NotLoaded,
    Overran,
    ParameterTold,
    ParameterValues,
    Printed,
    RunCallback,
    ToScripts,
)
from voiced.scripts.agent import Agent
from voiced.scripts.declare import Offer, run
from voiced.scripts.jobs import GIVEN_UP_S, LOAD_S, Jobs
from voiced.scripts.outbox import SEND_TIMEOUT_S, Outbox
from voiced.scripts.printed import Capture
from voiced.scripts.script import Script, ScriptError, info_of, load, raised, read, version_of
from voiced.scripts.text import described

ALIVE_S = 0.25
LOOK_S = 0.25
"""How often the file is looked at: the standard library has no notice of its change."""
END_S = 0.7
"""What callbacks that still wait get at the end."""
FILE = "the file itself"
"""The name of what runs while a file is loaded."""


class Service:
    """Runs the process from its greeting to its end.

    Args:
        fd: the channel.
        stacks: where the stacks of what hangs are written.
    """

    def __init__(self, fd: int, stacks: TextIO) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(SEND_TIMEOUT_S)
        self._stacks = stacks
        self._outbox = Outbox(self._socket)
        self._capture = Capture(lambda line: self._outbox.send(Printed(line=line)))
        self._decoder: Decoder[ToScripts] = Decoder(ToScripts)  # type: ignore[arg-type]
        self._jobs = Jobs()
        self._wanted: LoadScript | None = None
        self._agent = Agent("", self._outbox.send_paced)
        self._script: Script | None = None
        self._seen = ""
        self._look_at = self._alive_at = 0.0
        self._ended = False

    def run(self) -> ExitCode:
        """Serve until control says so or is gone."""
        self._outbox.send(Hello(pid=os.getpid()))
        while not self._ended:
            now = time.monotonic()
            if now >= self._alive_at:
                self._alive_at = now + ALIVE_S
                self._outbox.send(Alive())
            if self._wanted is not None and now >= self._look_at:
                self._look_at = now + LOOK_S
                self._look(self._wanted)
            if (late := self._jobs.overdue(now)) is not None:
                self._end_over(*late)
            if select.select([self._socket], [], [], ALIVE_S / 2)[0] and not self._receive():
                return ExitCode.CONTROL_GONE
        self._jobs.finish(END_S)
        self._capture.close()
        return ExitCode.DONE

    def _receive(self) -> bool:
        try:
            received = self._socket.recv(65_536)
        except OSError:
            return False
        for message in self._decoder.receive(received):
            self._take(message)
        return bool(received)

    def _take(self, message: ToScripts) -> None:
        match message:
            case Hello():
                if message.version != PROTOCOL_VERSION:
                    raise RemoteProtocolError(f"control speaks version {message.version}")
            case LoadScript():
                self._wanted, self._seen, self._look_at = message, "", 0.0
                self._agent.name = message.agent
                # At once: callbacks may follow in the same breath.
                self._look(message)
            case ParameterValues(values=values, pulses=pulses):
                self._agent.know(values, frozenset(pulses))
            case ParameterTold(name=name, value=value):
                self._agent.told(name, value)
            case RunCallback():
                self._jobs.put(message.name, message.limit_s, lambda: self._callback(message))
            case CallFunction():
                self._jobs.start(message.call_id, message.name, lambda: self._function(message))
            case DropFunction(call_id=call_id):
                self._jobs.drop(call_id)
            case Shutdown():
                self._ended = True
            case _:
                assert_never(message)

    def _end_over(self, name: str, seconds: float) -> None:
        """End the process: what runs cannot be stopped by other means."""
        self._outbox.send(Overran(name=name, sentence=f"it has run for {seconds:.1f} s"))
        faulthandler.dump_traceback(self._stacks)
        os._exit(ExitCode.FAILED)

    # --- the file

    def _look(self, wanted: LoadScript) -> None:
        path = Path(wanted.path)
        version = version_of(path) or "none"
        if version == self._seen:
            return
        loading_s = self._jobs.running_s(FILE)
        if loading_s > GIVEN_UP_S:
            # The version before is still being run: a new process takes the new one.
            self._end_over(FILE, loading_s)
        if loading_s:
            return
        first, self._seen = not self._seen, version
        if version == wanted.not_version:
            sentence = f"{path.name} is left alone until it is saved again"
            job = lambda: self._fall_back(wanted, version, sentence)  # noqa: E731
        else:
            job = lambda: self._load(wanted, version, first)  # noqa: E731
        self._jobs.put(FILE, LOAD_S, job)

    def _load(self, wanted: LoadScript, version: str, first: bool) -> None:
        path = Path(wanted.path)
        self._outbox.send(Loading(version=version))
        self._capture.renew()
        try:
            script = load(path, read(path), self._agent)
        except ScriptError as error:
            if first:
                self._fall_back(wanted, version, str(error))
            else:
                self._outbox.send(NotLoaded(version=version, sentence=str(error)))
        else:
            self._take_up(script, version)

    def _fall_back(self, wanted: LoadScript, version: str, sentence: str) -> None:
        """Tell why this version is not used; run the last good one of an earlier process."""
        self._outbox.send(NotLoaded(version=version, sentence=sentence))
        if wanted.last_good and self._script is None:
            try:
                self._take_up(load(Path(wanted.path), wanted.last_good, self._agent), "")
            except ScriptError as error:
                self._outbox.send(NotLoaded(version=version, sentence=str(error)))

    def _take_up(self, script: Script, version: str) -> None:
        self._script = script
        self._outbox.send(
            Loaded(
                version=version,
                source=script.source,
                callbacks=tuple(script.callbacks),
                tools=tuple(one.declared for one in script.tools.values()),
                remarks=script.remarks,
            )
        )

    # --- what is called

    def _callback(self, message: RunCallback) -> None:
        trouble = ""
        function = self._script.callbacks.get(message.name) if self._script else None
        if function is not None:
            info = info_of(message.name, message.args, self._agent)
            try:
                run(function, info)
            except BaseException as error:  # SystemExit too: a script does not end the process.
                trouble = self._raised(error)
        self._outbox.send(CallbackEnded(number=message.number, trouble=trouble))

    def _function(self, message: CallFunction) -> None:
        offered: Offer | None = self._script.tools.get(message.name) if self._script else None
        ok, trouble = True, ""
        self._agent.calls(message.call_id)
        if offered is None:
            ok, result = False, f"{message.name} is not there any more; go on without it"
        else:
            try:
                result = offered.call(message.arguments)
            except BaseException as error:
                ok, trouble = False, self._raised(error)
                result = f"{message.name} failed: {described(error)}"[:LONGEST_TEXT]
        self._outbox.send(
            FunctionEnded(
                call_id=message.call_id, name=message.name, ok=ok, result=result, trouble=trouble
            )
        )

    def _raised(self, error: BaseException) -> str:
        return raised(error, Path(self._wanted.path if self._wanted is not None else ""))
