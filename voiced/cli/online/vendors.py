"""The services' own packages, each asked for its models and as the judge of a set-up.

A package is imported when it is asked. Its exceptions are turned into voiced's sentences by their
HTTP status alone: their texts may quote a key.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from voiced.errors import ProviderUnavailable, VoicedError
from voiced.providers.dial import Service, rejected

ANSWER_S = 15.0
MOST_MODELS = 2000
XAI = "https://api.x.ai/v1"
INSTALL = {
    "openai": "pip install 'voiced[online]'",
    "xai": "pip install 'voiced[online]'",
    "gemini": "pip install 'voiced[online]'",
    "hume": "pip install hume",
}
"""Key server -> what installs the package that asks it."""


_NO_LIST = (ValueError, TypeError, AttributeError, LookupError)
"""What the packages raise at an answer that is something else."""


class PackageMissing(VoicedError):
    """The package that would ask is not installed."""


class NoModels(VoicedError):
    """What answers there tells no models."""


class Vendor(NamedTuple):
    """One service, as its own package knows it."""

    service: Service
    models: Callable[[str, str], list[str]]
    """(key, endpoint or "") -> the account's models, or what else shows that the key works."""
    judge: Callable[[Mapping[str, Any]], list[str]]
    """The first frame of a session -> what is wrong with it."""
    judged_by: str
    greeting: Mapping[str, Any] | None
    """What the service says before the client does."""
    voices: str
    """Part of every voice model's name; where no name has it, the list is of other models."""
    counts: str = "models"
    chosen: str = "Model"
    """The parameter that chooses one of them."""

    def lists_voices(self, models: Iterable[str]) -> bool:
        """Tell whether a list of models is one that voice models are on."""
        return not self.voices or any(self.voices in name for name in models)

    def counted(self, models: list[str]) -> str:
        """Return how many there are, in words."""
        fitting = sum(self.voices in name for name in models)
        if not self.voices:
            return f"{len(models)} {self.counts}"
        if not fitting:
            return f"{len(models)} {self.counts}, no voice model among them: it cannot be looked up"
        return f"{fitting} voice models"


def http(endpoint: str, path: str = "") -> str:
    """Return the http address of a websocket's endpoint."""
    there = urlsplit(endpoint)
    scheme = {"ws": "http", "wss": "https"}.get(there.scheme, there.scheme)
    return f"{scheme}://{there.netloc}{there.path.rstrip('/')}{path}"


def _missing(name: str) -> PackageMissing:
    return PackageMissing(f"the package {name} is not installed")


def _refused(service: Service, status: int, endpoint: str, body: str = "") -> NoReturn:
    """Raise what an HTTP status in place of an answer means."""
    if status in (404, 405, 426, 501) and endpoint:
        raise NoModels(f"what answers there tells no models (HTTP {status}): an emulator?")
    if status < 300:
        raise NoModels("the answer is no list")
    raise rejected(service, status, body.encode())


def _unreachable(service: Service) -> ProviderUnavailable:
    return ProviderUnavailable(f"{service.title} cannot be reached", "connect")


# --- OpenAI, and xAI, which speaks as it does ------------------------------------------------

OPENAI = Service("OpenAI", "openai")
GROK = Service("xAI", "xai")


def _openai(service: Service, base: str | None, key: str, endpoint: str) -> list[str]:
    try:
        import openai
    except ImportError:
        raise _missing("openai") from None
    base = http(endpoint, "/v1") if endpoint else base
    client = openai.OpenAI(api_key=key, base_url=base, timeout=ANSWER_S, max_retries=0)
    try:
        with client:
            return [model.id for model in itertools.islice(client.models.list(), MOST_MODELS)]
    except openai.APIStatusError as error:
        _refused(service, error.status_code, endpoint, str(error.body))
    except openai.APIConnectionError:
        raise _unreachable(service) from None
    except (openai.OpenAIError, *_NO_LIST):
        raise NoModels("the answer is no list") from None


def _judge_openai(frame: Mapping[str, Any]) -> list[str]:
    try:
        from openai.types.realtime import SessionUpdateEvent
    except ImportError:
        raise _missing("openai") from None
    return _by_pydantic(SessionUpdateEvent, frame, "OpenAI")


# --- Gemini ----------------------------------------------------------------------------------

GEMINI = Service("Gemini", "gemini")
VERSION = "v1beta"
"""Live sessions are not in v1, which is what the package takes by itself."""


def _gemini(key: str, endpoint: str) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package about its own dependencies
            import httpx2
            from google import genai
            from google.genai import errors, types
    except ImportError:
        raise _missing("google-genai") from None
    options = types.HttpOptions(
        base_url=http(endpoint) if endpoint else None,
        api_version=VERSION,
        timeout=int(ANSWER_S * 1000),
    )
    client = genai.Client(vertexai=False, api_key=key, http_options=options)
    try:
        pages = client.models.list(config=types.ListModelsConfig(page_size=1000))
        models = list(itertools.islice(pages, MOST_MODELS))
    except errors.APIError as error:
        _refused(GEMINI, error.code, endpoint, str(error.details))
    except httpx2.TransportError:
        raise _unreachable(GEMINI) from None
    except (httpx2.HTTPError, *_NO_LIST):
        raise NoModels("the answer is no list") from None
    finally:
        client.close()
    return [str(model.name).removeprefix("models/") for model in models]


def _judge_gemini(frame: Mapping[str, Any]) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from google.genai import types
    except ImportError:
        raise _missing("google-genai") from None
    setup = dict(frame.get("setup", {}))
    generation = setup.pop("generationConfig", {})
    setup.pop("model", None)
    # A set-up has no type with all of its fields: its two halves do.
    return [
        *_by_pydantic(types.GenerationConfig, generation, "Gemini"),
        *_by_pydantic(types.LiveConnectConfig, {**setup, **generation}, "Gemini"),
    ]


# --- Hume ------------------------------------------------------------------------------------

HUME = Service("Hume", "hume")


def _hume(key: str, endpoint: str) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its websockets are the old ones
            import httpx
            from hume import HumeClient
            from hume.core.api_error import ApiError
    except ImportError:
        raise _missing("hume") from None
    base = http(endpoint) if endpoint else None
    client = HumeClient(api_key=key, base_url=base, timeout=ANSWER_S)
    try:
        configs = client.empathic_voice.configs.list_configs(
            page_size=100, request_options={"max_retries": 0}
        )
        return [str(config.id) for config in itertools.islice(configs, MOST_MODELS)]
    except ApiError as error:
        _refused(HUME, error.status_code or 500, endpoint, str(error.body))
    except httpx.TransportError:
        raise _unreachable(HUME) from None
    except (httpx.HTTPError, *_NO_LIST):
        raise NoModels("the answer is no list") from None


def _judge_hume(frame: Mapping[str, Any]) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from hume.empathic_voice.types import SessionSettings
    except ImportError:
        raise _missing("hume") from None
    return _by_pydantic(SessionSettings, frame, "Hume")


# --- what all types have in common -----------------------------------------------------------


def _by_pydantic(kind: Any, value: Mapping[str, Any], title: str) -> list[str]:
    """Return what a type says of a value: what is wrong, and what it does not name."""
    from pydantic import ValidationError

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            read = kind.model_validate(value)
        except ValidationError as error:
            return [
                f"{'.'.join(str(part) for part in each['loc'])}: {title} says: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)
            ]
    flaws = [f"{title} says: {each.message}" for each in warned]
    return flaws + [f"{title} knows no field {name}" for name in _unnamed(read, "")]


def _unnamed(read: Any, path: str) -> list[str]:
    """Return the fields that a type took without naming them."""
    if isinstance(read, list):
        return [name for item in read for name in _unnamed(item, path)]
    fields = getattr(type(read), "model_fields", None)
    if fields is None:
        return []
    found = [f"{path}{name}" for name in (getattr(read, "model_extra", None) or {})]
    for name in fields:
        found += _unnamed(getattr(read, name), f"{path}{name}.")
    return found


def _unjudged(_: Mapping[str, Any]) -> list[str]:
    return []


VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor(
        service=OPENAI,
        models=lambda key, endpoint: _openai(OPENAI, None, key, endpoint),
        judge=_judge_openai,
        judged_by="OpenAI's own types",
        greeting={"type": "session.created", "event_id": "event_1", "session": {
            "id": "sess_1", "type": "realtime", "model": "none"}},
        voices="realtime",
    ),
    "xai": Vendor(
        service=GROK,
        models=lambda key, endpoint: _openai(GROK, XAI, key, endpoint),
        judge=_unjudged,
        judged_by="xAI publishes no types: only voiced's own checks",
        greeting={"type": "session.created", "event_id": "event_1", "session": {"id": "sess_1"}},
        voices="voice",
    ),
    "gemini": Vendor(
        service=GEMINI,
        models=_gemini,
        judge=_judge_gemini,
        judged_by="Google's own types",
        greeting=None,
        voices="live",
    ),
    "hume": Vendor(
        service=HUME,
        models=_hume,
        judge=_judge_hume,
        judged_by="Hume's own types",
        greeting={"type": "chat_metadata", "chat_id": "c", "chat_group_id": "g", "request_id": "r"},
        voices="",
        counts="configurations",
        chosen="config_id",
    ),
}  # fmt: skip
"""Key server -> who asks and judges."""
