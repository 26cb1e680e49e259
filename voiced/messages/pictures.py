"""What a picture must be on its way to the model, and where pictures come from."""

from __future__ import annotations

MAX_PICTURE = 512 * 1024
"""Bytes of a JPEG. It shares a socket with the voice: a larger one would hold up what is said."""
CAMERA = "camera:"
"""`Videoin` begins so where it names a camera and no file."""
_BEGINS, _ENDS = b"\xff\xd8\xff", b"\xff\xd9"


def is_jpeg(content: bytes) -> bool:
    """Tell whether bytes begin as a JPEG does (ITU-T T.81, B.1.1.3: SOI, then another marker)."""
    return content.startswith(_BEGINS)


def is_whole(jpeg: bytes) -> bool:
    """Tell whether a JPEG has its end (EOI); what writes blocks may have filled up with zeros."""
    return jpeg.rstrip(b"\0").endswith(_ENDS)


def camera_of(videoin: str) -> str:
    """Return the camera that a value of `Videoin` names, "" where it names a file or nothing."""
    return videoin.removeprefix(CAMERA).strip() if videoin.startswith(CAMERA) else ""
