"""Every exception that voiced raises on purpose, and every exit code.

VoicedError
├── ConfigError          the configuration cannot be used; carries all problems at once
├── LocalProtocolError   voiced broke a rule of its own channels
├── RemoteProtocolError  the other side of a channel or a service broke one
├── ChannelClosed        the other side is gone
├── DeviceError          a sound device cannot be used
├── ContractError        a provider module does not keep the provider contract
└── ProviderError        a service said no
    ├── ProviderRefused      for good: key, quota, model, configuration
    └── ProviderUnavailable  for now: worth trying again
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a process of voiced says with its exit status."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DEVICE_LOST = 17
    """The audio process: device or sound server is gone; spawn a new one."""
    CONTROL_GONE = 18
    """A child: its control channel ended; nothing to report to."""
    PROTOCOL = 19
    """A child: a message broke the protocol; a bug, or two versions mixed."""
    UNAVAILABLE = 69
    """sysexits EX_UNAVAILABLE: not running, not installed."""
    CONFIG = 78
    """sysexits EX_CONFIG: systemd must not restart on it."""


class VoicedError(Exception):
    """Anything voiced raises on purpose; its text is a sentence for the operator."""


class ConfigError(VoicedError):
    """The configuration cannot be used.

    Attributes:
        problems: every reason, a sentence each.
        file: the one to mend; "" = none was read, or the reasons name it.
    """

    def __init__(self, problems: list[str], file: str = "") -> None:
        super().__init__("; ".join(problems))
        self.problems, self.file = problems, file


class LocalProtocolError(VoicedError):
    """This side was about to break a rule of the channel."""


class RemoteProtocolError(VoicedError):
    """The other side broke a rule of the channel."""


class ChannelClosed(VoicedError):
    """The other side of a channel is gone."""


class DeviceError(VoicedError):
    """A sound device is absent or cannot be used as asked."""


class ContractError(VoicedError):
    """A provider module breaks the contract; `problems` holds every breach."""

    def __init__(self, module: str, problems: list[str]) -> None:
        super().__init__(f"provider {module} cannot be used: " + "; ".join(problems))
        self.problems = problems


class ProviderError(VoicedError):
    """A service said no; `code` is the service's own word for it."""

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class ProviderRefused(ProviderError):
    """The service refuses for good: trying again costs time or money for nothing."""


class ProviderUnavailable(ProviderError):
    """The service cannot be had now; trying again later may help."""
