"""One row of the conversation, as doors show it and traces keep it."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the conversation table: operator.txt's seven columns, and where it stands."""

    index: int
    role: str
    """user assistant system tool error."""
    message: str
    id: str
    """Stable: a rewritten row keeps it."""
    timestamp: str
    """ISO 8601 with offset and milliseconds."""
    type: str
    """text tool_call tool_result status error."""
    metadata: str
    """JSON object, "{}" if empty."""
    session_id: str
