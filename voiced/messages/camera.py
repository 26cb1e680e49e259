"""Between control and the camera process: which cameras are looked through, and what they see."""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Attach, Hello, Message, Shutdown


class Camera(Message, frozen=True, kw_only=True):
    """A camera that somebody looks through."""

    name: str
    source: str
    """Its number, counted from 0, or the path of a device or film, or a stream's address."""

    def __repr__(self) -> str:
        return f"Camera(name={self.name!r})"


class SetCameras(Message, frozen=True, kw_only=True):
    """Sent by control: look through these from now on, and let go of all others."""

    cameras: list[Camera]


class Frame(Message, frozen=True, kw_only=True):
    """Sent by the camera process: what a camera sees now, about once a second."""

    camera: str
    jpeg: bytes
    """MAX_PICTURE bytes at most."""

    def __repr__(self) -> str:
        return f"Frame(camera={self.camera!r}, {len(self.jpeg)} bytes)"


class CameraTrouble(Message, frozen=True, kw_only=True):
    """Sent by the camera process: a camera gives no pictures; it is tried again. Told once."""

    camera: str
    sentence: str


class CameraBack(Message, frozen=True, kw_only=True):
    """Sent by the camera process: a camera that gave none gives pictures."""

    camera: str


ToCamera: TypeAlias = Hello | Attach | SetCameras | Shutdown
FromCamera: TypeAlias = Hello | Frame | CameraTrouble | CameraBack
