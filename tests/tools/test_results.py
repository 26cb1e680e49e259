"""Results in words: cut, without keys, without pictures."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.messages.tools import CUT
from voiced.tools.results import NOTHING, cut, redacted, text_of


def result(*content: dict[str, Any], **more: Any) -> mcp_types.CallToolResult:
    return mcp_types.CallToolResult.model_validate({"content": list(content), **more})


TEXT = {"type": "text", "text": "two"}
PICTURE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (result(), NOTHING),
        (result(TEXT), "two"),
        (result(TEXT, TEXT), "two\ntwo"),
        (result(TEXT, structuredContent={"a": 2}), "two"),
        (result(structuredContent={"a": 2}), '{"a":2}'),
        (
            result(PICTURE, structuredContent={"a": 2}),
            '{"a":2}\n(an image of type image/png was left out: only words can be given)',
        ),
        (
            result({"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}),
            "(a sound of type audio/wav was left out: only words can be given)",
        ),
        (
            result({"type": "resource_link", "uri": "file:///plan", "name": "the plan"}),
            "the plan: file:///plan",
        ),
        (result({"type": "resource", "resource": {"uri": "x:y", "text": "words"}}), "words"),
        (
            result({"type": "resource", "resource": {"uri": "x:y", "blob": "AAAA"}}),
            "(a file was left out: only words can be given)",
        ),
    ],
)
def test_in_words(given: mcp_types.CallToolResult, text: str) -> None:
    assert text_of(given) == text


@given(st.text(), st.integers(len(CUT), 200))
def test_no_result_is_longer_than_it_may_be(text: str, longest: int) -> None:
    shown = cut(text, longest)
    assert len(shown) <= longest
    assert shown == text or (shown.endswith(CUT) and text.startswith(shown.removesuffix(CUT)))


@given(st.text(), st.text(min_size=1))
def test_no_key_is_repeated(around: str, key: str) -> None:
    assert key not in redacted(around + key + around, ["", key]) or key in "…"
