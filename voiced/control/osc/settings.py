"""What the configuration says about the OSC door: the [osc] table, typed."""

from __future__ import annotations

import ipaddress

import msgspec

PORT = 9370


class TargetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `targets`: somebody who is sent what happens, for as long as the daemon runs."""

    host: str
    """An IP address, or a name resolved once at start."""
    port: int
    send: tuple[str, ...] = ("/*",)
    """Patterns; `*` crosses "/". Sent is what one of these matches and none of `skip`."""
    skip: tuple[str, ...] = ()
    flat: bool = False
    """Signals as plain messages instead of bundles (a DAT, Pd)."""


class RatesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each agent takes a minute by OSC."""

    connect: int = 10
    """Connect and Restart together."""
    sendtext: int = 60
    say: int = 60
    note: int = 60


class OscConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [osc] table. `bind` and `port` count from the next start on, the rest at once."""

    bind: str = "127.0.0.1"
    port: int = PORT
    """UDP and TCP; 0 = any free one."""
    allow: tuple[str, ...] = ()
    """Networks that may talk to the door, beside loopback."""
    admin: tuple[str, ...] = ()
    """Networks that may use admin addresses, beside loopback."""
    targets: tuple[TargetConfig, ...] = ()
    rates: RatesConfig = RatesConfig()


def problems(config: OscConfig) -> list[str]:
    """Return every reason why this table cannot be used, a sentence each."""
    found: list[str] = []
    try:
        loopback = ipaddress.ip_address(config.bind).is_loopback
    except ValueError:
        found.append(
            f'osc.bind takes an IP address, as "127.0.0.1" or "0.0.0.0", not {config.bind!r}'
        )
        loopback = True
    if not loopback and not config.allow:
        found.append(
            f'osc.bind = "{config.bind}" needs allow, as allow = ["192.168.1.0/24"]: who may talk'
        )
    if not 0 <= config.port <= 65535:
        found.append(f"osc.port takes 1 to 65535, not {config.port}")
    for key, networks in (("allow", config.allow), ("admin", config.admin)):
        for network in networks:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                found.append(f'osc.{key} takes networks as "192.168.1.0/24", not {network!r}')
    for number, target in enumerate(config.targets):
        if not 1 <= target.port <= 65535:
            found.append(f"osc.targets[{number}].port takes 1 to 65535, not {target.port}")
        if target.port == config.port and is_here(target.host):
            found.append(
                f"osc.targets[{number}].port = {target.port} is voiced's own, which would talk to "
                "itself: name the port where your patch listens"
            )
        for pattern in target.send + target.skip:
            if not pattern.startswith("/"):
                found.append(f'osc.targets[{number}]: a pattern begins with "/", not {pattern!r}')
    for name in RatesConfig.__struct_fields__:
        if getattr(config.rates, name) < 1:
            found.append(f"osc.rates.{name} takes 1 or more a minute")
    return found


def is_here(host: str) -> bool:
    """Whether this names the machine itself, by loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
