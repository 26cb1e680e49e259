"""The camera process as control sees it: it runs while a session looks through a camera.

A camera is one that `Videoin` names: by its number in the system, or by its name in `[cameras]`.
Unplugged or taken by another program, it is a sentence, and is tried again.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import assert_never

from voiced.control.children import Child
from voiced.messages.camera import (
    Camera,
    CameraBack,
    CameraTrouble,
    Frame,
    FromCamera,
    SetCameras,
)
from voiced.messages.framing import Hello, Message
from voiced.messages.network import NetworkTrouble
from voiced.messages.pictures import CAMERA, camera_of
from voiced.mind.agent import Agent
from voiced.mind.inputs import AgentInput

log = logging.getLogger("voiced")

SOURCE = "camera"
"""onError's word for it."""
PACKAGE = "cv2"
MISSING = (
    "a camera needs the package opencv-python-headless: python -m pip install 'voiced[camera]'"
)


class Cameras:
    """Has the cameras looked through that sessions want.

    Args:
        child: the camera process.
        agents: the minds, by name.
        give: takes an agent's picture, and what `Videoin` must be for it.
        put: gives an agent an input.
    """

    def __init__(
        self,
        child: Child[FromCamera],
        agents: Mapping[str, Agent],
        give: Callable[[str, str, bytes], None],
        put: Callable[[str, AgentInput], None],
    ) -> None:
        self._child, self._agents, self._give, self._put = child, agents, give, put
        self._sources: dict[str, str] = {}
        self._wanted = SetCameras(cameras=[])
        self._told: dict[str, str] = {}
        """Agent -> what it was told of the camera that it wants."""

    def configure(self, cameras: Mapping[str, str], folder: Path) -> None:
        """Take the configuration's cameras; paths start from `folder`."""
        self._sources = {name: _source(place, folder) for name, place in cameras.items()}
        self.look()

    def look(self) -> None:
        """Have exactly those cameras looked through that a session wants now."""
        wanting = dict(self._wanting())
        self._told = {agent: told for agent, told in self._told.items() if agent in wanting}
        missing = bool(wanting) and importlib.util.find_spec(PACKAGE) is None
        cameras: dict[str, str] = {}
        for agent, name in wanting.items():
            source = self._sources.get(name, name if name.isdigit() else "")
            if not source:
                known = ", ".join(["0", *self._sources])
                self._tell(agent, f"there is no camera {name} in [cameras]; there are {known}")
            elif missing:
                self._tell(agent, MISSING)
            else:
                cameras[name] = source
        wanted = SetCameras(cameras=[Camera(name=n, source=s) for n, s in sorted(cameras.items())])
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if not cameras:
            self._child.stop()
        elif not self._child.send(wanted):
            self._child.start()

    def greeting(self) -> Iterable[Message]:
        """Return what a fresh process must know."""
        return [self._wanted]

    def take(self, message: FromCamera) -> None:
        """Take what the process says."""
        match message:
            case Frame(camera=name, jpeg=jpeg):
                for agent in self._of(name):
                    self._give(agent, CAMERA + name, jpeg)
            case CameraTrouble(camera=name, sentence=sentence):
                for agent in self._of(name):
                    self._tell(agent, sentence)
            case CameraBack(camera=name):
                log.info("= camera %s gives pictures again", name)
                for agent in self._of(name):
                    self._told.pop(agent, None)
            case Hello():
                pass
            case _:
                assert_never(message)

    def exited(self, sentence: str) -> None:
        """Tell that the process ended by itself; another follows."""
        for agent, _ in self._wanting():
            self._tell(agent, sentence)

    def _wanting(self) -> Iterable[tuple[str, str]]:
        """Yield every agent whose session looks through a camera, and which."""
        for name, agent in self._agents.items():
            seeing = agent.seeing()
            if not seeing.problem and (camera := camera_of(seeing.source)):
                yield name, camera

    def _of(self, camera: str) -> list[str]:
        return [agent for agent, name in self._wanting() if name == camera]

    def _tell(self, agent: str, sentence: str) -> None:
        if self._told.get(agent) != sentence:
            self._told[agent] = sentence
            self._put(agent, NetworkTrouble(source=SOURCE, code=SOURCE, sentence=sentence))


def _source(place: str, folder: Path) -> str:
    if place.isdigit() or "://" in place:
        return place
    return str(folder / Path(place).expanduser())
