"""The checker: a good module passes, and everything wrong with a bad one is said at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.providers import provider_echo, provider_local
from voiced.providers.contract import OPTIONAL, REQUIRED, TUNABLE, Provider, check

CONSTANTS = sorted(Provider.__annotations__)


def copy_of(module) -> SimpleNamespace:
    names = [*CONSTANTS, *REQUIRED, *OPTIONAL, *TUNABLE]
    return SimpleNamespace(**{n: getattr(module, n) for n in names if hasattr(module, n)})


@pytest.mark.parametrize("module", [provider_echo, provider_local])
def test_the_built_in_ones_keep_it(module):
    assert check(module) == []


def test_an_empty_module_is_told_every_name_it_lacks():
    sentences = check(SimpleNamespace())
    for name in [*CONSTANTS, *REQUIRED]:
        assert any(sentence.startswith(f"{name} is missing") for sentence in sentences), name
    assert len(sentences) == len(CONSTANTS) + len(REQUIRED)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from([*CONSTANTS, *REQUIRED]), min_size=1))
def test_every_missing_name_is_told_and_no_other(missing):
    module = copy_of(provider_echo)
    for name in missing:
        delattr(module, name)
    told = {sentence.split()[0] for sentence in check(module)}
    assert told == missing


WRONG = {
    "PROVIDER_TYPE": ["", "tts", None, 1],
    "SPEECH_TYPE": ["voice", None],
    "TRANSPORT": ["http", None, 3],
    "RESUMPTION": ["always", None],
    "METERING": ["minute", None],
    "SAMPLE_RATE_IN": [0, 7999, 96000, 16000.0, "16000", None, True, float("nan")],
    "SAMPLE_RATE_OUT": [-1, 1 << 70, "x", None],
    "FRAME_MS": [0, 4, 201, "20", 2.5],
    "MAX_SESSION_S": [0, 9, -1, "900", float("inf")],
    "CATCHUP_PACE": [1, 0, 1.0, 51, float("nan"), float("inf"), None, "fast"],
    "SUPPORTS_VIDEO_IN": [0, None, "no"],
    "SUPPORTS_VOICE_CLONING": [1],
    "FULL_DUPLEX": ["yes"],
    "KEY_SERVER": ["", 1, b"openai"],
    "DEPENDENCIES": ["openai", None, [1], {"a"}],
    "SIGNAL_CHANNELS": [[], None, {"Bad Name": "x"}, {"ok": 1}, {1: "x"}],
    "PREROLL_MS": [-1, 301, "x", None],
    "HEARD_MARGIN_MS": [-1, 501],
    "TRAILING_SILENCE_MS": [5001],
    "CONNECT_TIMEOUT_S": [0, 61],
    "TITLE": [None, 1],
    "USER_DELTAS": [1, None],
}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_wrong_value_is_told_and_no_other(data):
    module = copy_of(provider_echo)
    names = data.draw(st.sets(st.sampled_from(sorted(WRONG)), min_size=1, max_size=5))
    for name in names:
        setattr(module, name, data.draw(st.sampled_from(WRONG[name])))
    assert {sentence.split()[0] for sentence in check(module)} == names


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from([*CONSTANTS, *REQUIRED, *OPTIONAL, *TUNABLE]),
    value=st.one_of(
        st.none(), st.integers(), st.floats(), st.text(), st.binary(), st.booleans(),
        st.lists(st.integers()), st.dictionaries(st.text(), st.text()), st.just(object()),
        st.just(lambda: None), st.just(print), st.just(dict), st.just(type),
    ),
)  # fmt: skip
def test_no_value_whatever_makes_the_checker_fail(name, value):
    module = copy_of(provider_echo)
    setattr(module, name, value)
    assert all(isinstance(sentence, str) and sentence for sentence in check(module))


@pytest.mark.parametrize("name", sorted({**REQUIRED, **OPTIONAL}))
def test_a_function_of_the_wrong_shape_is_told(name):
    call = {**REQUIRED, **OPTIONAL}[name]

    def plain(*arguments): ...

    async def coroutine(*arguments): ...

    module = copy_of(provider_echo)
    setattr(module, name, plain if call.is_async else coroutine)
    assert [sentence for sentence in check(module) if sentence.startswith(f"{name} must be")]
    source = "async def" if call.is_async else "def"
    scope: dict = {}
    exec(f"{source} {name}({', '.join('abcdefg'[: call.arguments + 1])}): ...", scope)
    setattr(module, name, scope[name])
    assert [s for s in check(module) if s.startswith(f"{name} must take {call.arguments} ")]
    setattr(module, name, "not a function")
    assert [sentence for sentence in check(module) if sentence.startswith(f"{name} is ")]


def test_a_promise_needs_its_function():
    module = copy_of(provider_echo)
    module.RESUMPTION, module.SUPPORTS_VIDEO_IN = "native", True
    sentences = check(module)
    assert any("get_persistable_state" in sentence for sentence in sentences)
    assert any("send_video_frame" in sentence for sentence in sentences)


def test_a_repr_that_raises_is_survived():
    class Hostile:
        def __repr__(self):
            raise RuntimeError

    module = copy_of(provider_echo)
    module.METERING = Hostile()
    assert check(module) == ["METERING is a Hostile: it must be one of 'token', 'wallclock'"]
