"""Texts of a script, made fit to be sent: what it returns and raises is anything."""

from __future__ import annotations


def sendable(text: str) -> str:
    r"""Return a text that is UTF-8: half a surrogate pair, as in a file's odd name, is `\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def described(error: BaseException) -> str:
    """Return an exception's type and words, as the model is told them."""
    try:
        words = str(error)
    except BaseException:  # It is the script's own function.
        words = ""
    name = type(error).__name__
    return sendable(f"{name}: {words}" if words else name)
