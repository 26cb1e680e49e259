"""What a server or an endpoint answered, as one text for the model."""

from __future__ import annotations

from collections.abc import Iterable

import mcp_types
import msgspec

from voiced.messages.tools import CUT, LEFT_OUT, LONGEST_RESULT

NOTHING = "done; there is no result in words"


def text_of(result: mcp_types.CallToolResult) -> str:
    """Return a result in words; pictures and sound are left out, and said to be."""
    parts = [_part(block) for block in result.content]
    if not any(isinstance(block, mcp_types.TextContent) for block in result.content):
        structured = result.structured_content
        if structured is not None:
            parts.insert(0, msgspec.json.encode(structured).decode())
    return "\n".join(part for part in parts if part) or NOTHING


def _part(block: mcp_types.ContentBlock) -> str:
    match block:
        case mcp_types.TextContent():
            return block.text
        case mcp_types.ImageContent():
            return left_out("an image", block.mime_type)
        case mcp_types.AudioContent():
            return left_out("a sound", block.mime_type)
        case mcp_types.ResourceLink():
            return f"{block.name}: {block.uri}"
        case mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents() as resource):
            return resource.text
        case _:
            return left_out("a file", "")


def left_out(what: str, kind: str) -> str:
    """Return the sentence for what no voice can say."""
    return f"({what}{f' of type {kind}' if kind else ''} {LEFT_OUT})"


def cut(text: str, longest: int = LONGEST_RESULT) -> str:
    """Return a text that is no longer than a result may be; a cut one says so."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return a text without any of the secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return text
