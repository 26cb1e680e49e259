"""Gemini's account of a response, as tokens that have a price.

Source: the wire reference 1.8. The prompt's count holds all of the context, cached tokens included;
what the details leave without a modality is text. Thoughts are billed as text that comes out, and
results of built-in tools as more of the prompt. The service's own total leaves thoughts out, so it
is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from voiced.providers.gemini_codec import Detail, Usage
from voiced.providers.prices import Tokens

TEXT, AUDIO, IMAGE = "text", "audio", "image"
_KINDS = {"AUDIO": AUDIO, "IMAGE": IMAGE, "VIDEO": IMAGE}


def tokens(usage: Usage) -> Tokens:
    """Return what a response took."""
    prompt = _by_kind(usage.prompt_token_count, usage.prompt_tokens_details, TEXT)
    cached = _by_kind(usage.cached_content_token_count, usage.cache_tokens_details, TEXT)
    tools = _by_kind(usage.tool_use_prompt_token_count, usage.tool_use_prompt_tokens_details, TEXT)
    # The reply can only be sound: what is not labelled is.
    reply = _by_kind(usage.response_token_count, usage.response_tokens_details, AUDIO)
    fresh = {kind: max(0, prompt[kind] - cached[kind]) + tools[kind] for kind in prompt}
    return Tokens(
        text_in=fresh[TEXT],
        text_cached=min(cached[TEXT], prompt[TEXT]),
        text_out=reply[TEXT] + (usage.thoughts_token_count or 0),
        audio_in=fresh[AUDIO],
        audio_cached=min(cached[AUDIO], prompt[AUDIO]),
        audio_out=reply[AUDIO] + reply[IMAGE],
        image_in=fresh[IMAGE],
        image_cached=min(cached[IMAGE], prompt[IMAGE]),
    )


def sent_again(tokens: Tokens) -> Tokens:
    """Return what the next response takes in: all that this one did, and this one."""
    return Tokens(
        text_in=tokens.text_in + tokens.text_out,
        text_cached=tokens.text_cached,
        audio_in=tokens.audio_in + tokens.audio_out,
        audio_cached=tokens.audio_cached,
        image_in=tokens.image_in,
        image_cached=tokens.image_cached,
    )


def _by_kind(total: int | None, details: Sequence[Detail] | None, otherwise: str) -> dict[str, int]:
    """Return tokens by kind; what the details do not name is of the kind `otherwise`."""
    found = {TEXT: 0, AUDIO: 0, IMAGE: 0}
    for detail in details or ():
        found[_KINDS.get(detail.modality or "", TEXT)] += detail.token_count or 0
    found[otherwise] += max(0, (total or 0) - sum(found.values()))
    return found
