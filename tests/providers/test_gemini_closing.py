"""Each row of the close codes: for good or worth another connection, and the sentence for it."""

from __future__ import annotations

import pytest

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.providers.gemini_closing import Attempt, ending, next_attempt

NOT_FOUND = (
    "models/gemini-9 is not found for API version v1beta, or is not supported for "
    "bidiGenerateContent. Call ListModels"
)
FATAL_AT_SETUP = [
    (1007, "Request contains an invalid argument.", "gemini_live page"),
    (1007, "Invalid JSON payload received. Unknown name \"proactivity\" at 'setup'", "gemini_live"),
    (1007, "Thinking level must be specified for this model", "set it to LOW, MEDIUM or HIGH"),
    (1007, "Thinking level is not supported for this model", "takes no thinking_level"),
    (1007, "BLOCKING function calls are not supported for this model", "enabled_nonblocking"),
    (1007, "Function response scheduling is not supported for this model", "tool_scheduling"),
    (
        1007,
        "The requested combination of response modalities (TEXT) is not supported by the model",
        "choose another Model",
    ),
    (1007, "Precondition check failed.", "choose another Model"),
    (1007, "Requested voice api_name 'Bob' is not available for model x", "Voice"),
    (1008, NOT_FOUND, "choose another Model"),
    (1008, "Operation is not implemented, or supported, or enabled.", "choose another Model"),
    (1008, "API key not valid. Please pass a valid API key.", "voiced key set gemini"),
    (1007, "", "gemini_live page"),
]


@pytest.mark.parametrize(("code", "reason", "says"), FATAL_AT_SETUP)
def test_a_refused_setup_is_refused_for_good(code, reason, says):
    error = ending(code, reason, before_open=True)
    assert isinstance(error, ProviderRefused)
    assert says in str(error)
    assert reason in str(error)
    assert error.code == ("invalid_key" if "API key" in reason else str(code))


PASSING = [
    (1000, "", "1000"),
    (1001, "going away", "going away"),
    (1006, "", "the link to Gemini broke"),
    (1006, "keepalive ping timeout", "ping"),
    (1009, "", "too long"),
    (1011, "Deadline expired before operation could complete.", "Deadline expired"),
    (1011, "The service is currently unavailable.", "unavailable"),
    (1011, "Internal error encountered.", "Internal error"),
    (1011, "You exceeded your current quota, please check your plan", "quota"),
    (1012, "", "1012"),
    (1013, "", "1013"),
    (1014, "", "1014"),
    (4711, "what", "4711"),
]


@pytest.mark.parametrize("before_open", [True, False])
@pytest.mark.parametrize(("code", "reason", "says"), PASSING)
def test_what_passes_is_worth_another_connection(code, reason, says, before_open):
    error = ending(code, reason, before_open=before_open)
    assert isinstance(error, ProviderUnavailable)
    assert says in str(error)
    assert error.code == str(code)


def test_a_1008_within_a_session_is_tried_once_more():
    reason = "Operation is not implemented, or supported, or enabled."
    assert isinstance(ending(1008, reason, before_open=False), ProviderUnavailable)
    second = ending(1008, reason, before_open=False, resumed_after=1008)
    assert isinstance(second, ProviderRefused)
    assert isinstance(ending(1008, NOT_FOUND, before_open=False), ProviderRefused)


def test_a_1007_within_a_session_ends_it():
    error = ending(1007, "Request contains an invalid argument.", before_open=False)
    assert isinstance(error, ProviderRefused)
    assert "Connect starts a new one" in str(error)


def steps(attempt, *codes, reason=""):
    """Return what is tried after each refusal."""
    found = []
    for code in codes:
        attempt = next_attempt(attempt, code, reason)
        found.append(attempt)
        if attempt is None:
            break
    return found


FRESH, BARE, NONE = Attempt(), Attempt(resumption=False), None


@pytest.mark.parametrize(
    ("attempt", "codes", "tried"),
    [
        (Attempt(handle="h"), [1007, 1007], [FRESH, NONE]),
        (Attempt(handle="h"), [1008, 1008, 1008], [FRESH, BARE, NONE]),
        (Attempt(handle="h"), [1011, 1011, 1011],
         [Attempt(handle="h", again=True), FRESH, NONE]),
        (Attempt(handle="h"), [1011, 1007], [Attempt(handle="h", again=True), FRESH]),
        (Attempt(handle="h"), [1006], [NONE]),
        (FRESH, [1008, 1008], [BARE, NONE]),
        (FRESH, [1007], [NONE]),
        (FRESH, [1011], [NONE]),
        (BARE, [1008], [NONE]),
    ],
)  # fmt: skip
def test_the_ladder(attempt, codes, tried):
    assert steps(attempt, *codes) == tried


def test_a_refused_model_or_key_is_not_tried_again():
    for reason in (NOT_FOUND, "API key not valid."):
        for code in (1007, 1008, 1011):
            assert next_attempt(Attempt(handle="h"), code, reason) is None
            assert next_attempt(FRESH, code, reason) is None
