"""docs/emulators.md: every field of a script, written from the structs and their docstrings."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from types import ModuleType
from typing import Final

from voiced.emulators import (
    gemini_options,
    hume_expression_options,
    hume_options,
    realtime_options,
    script,
)

_HEAD: Final = """\
# Emulators

`voiced emulate PROVIDER` is a stand-in of a cloud voice service on this machine: to rehearse a show
without an account or the internet, and to see what the daemon does when a service fails. It prints
its address first; name that as the provider's `endpoint`. There must be a key; it may be anything.

```toml
[[agent]]
name = "voice_agent"
par = { Provider = "openai_realtime" }

[agent.openai_realtime]
endpoint = "ws://127.0.0.1:8080"
```

Neither a visitor nor a sound card is needed: with `[audio]` `backend = "virtual"` and `output` of
`[audio.virtual]`, the voice speaks into a wav file, and a recording speaks when it is told to:

```sh
voiced emulate openai_realtime --port 8080          # each in a shell of its own
OPENAI_API_KEY=rehearsal voiced run
voiced watch '/*/cb/*'
voiced pulse Connect
oscsend localhost 9370 /voiced/audio/play ss voice_agent "$PWD/voiced/cli/visitors/lv_0880.wav"
```

It hears with the local recogniser and speaks with the local voice where they are installed
(`pip install 'voiced[local]'`), else it follows its script and speaks in tones. Without a script it
repeats what it heard and calls no tool. It refuses what the service refuses, in the service's own
words. While it runs, its port answers a browser:

| page | what it shows |
|---|---|
| `/violations` | what the client sent wrongly: connection, time, place in the message, rule |
| `/bill` | what the talk would have cost, by the emulator's own account |
| `/sessions` | who was connected, what was heard and said, how many pictures came, how it ended |

`--tls` makes it `wss://` with a certificate of its own, for which the program `openssl` is needed;
the second line that it prints is the variable with which a client trusts it.

## Scripts

A script is a TOML file, or JSON with the same names (`--script`). Everything may be left out. This
one calls the tool of [tools.md](tools.md) by word, and breaks the link in the middle of the second
reply:

```toml
[[tool]]
words = ["light", "lamp"]
name = "set_lights"
arguments = { color = "blue", level = 0.5 }

[[connection]]
heard = [{ text = "Turn the light blue.", revisions = ["Turn", "Turn the night"] }]

[[connection.reply]]
says = "One moment."

[[connection.reply]]
says = "The light is blue now, like the deep sea on a clear day."

[[connection.fault]]
what = "reset"
reply = 2
audio_ms = 600

[[connection]]          # the one after it, and all later ones: nothing goes wrong
```

The fields, written from the program by `python -m voiced.emulators.reference`; a test tells when
this page is old.

"""
_PARTS: Final = (
    ("The script", script, "Script"),
    ("`[[tool]]`", script, "Tool"),
    ("`[[connection]]`", script, "Connection"),
    ("`heard = [...]`", script, "Heard"),
    ("`[[connection.reply]]`", script, "Reply"),
    ("`calls = [...]`", script, "Call"),
    ("`[[connection.fault]]`", script, "Fault"),
    ("`options` of openai_realtime", realtime_options, "OpenAIOptions"),
    ("`options` of xai_grok", realtime_options, "XAIOptions"),
    ("`options` of gemini_live", gemini_options, "Options"),
    ("`options` of hume_evi", hume_options, "Options"),
    ("`options` of hume_expression", hume_expression_options, "Options"),
)


def fields(module: ModuleType, name: str) -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each field of a struct, as its source has them."""
    tree = ast.parse(inspect.getsource(module))
    struct = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name
    )
    rows: list[tuple[str, str, str]] = []
    for node in struct.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = "" if node.value is None else ast.unparse(node.value)
            rows.append((node.target.id, default, ""))
        elif rows and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            rows[-1] = (*rows[-1][:2], inspect.cleandoc(str(node.value.value)))
    return rows


def markdown() -> str:
    """Return docs/emulators.md."""
    pieces = [_HEAD]
    for title, module, name in _PARTS:
        about = inspect.getdoc(getattr(module, name)) or ""
        first = about.split("\n\n    [[")[0]
        lines = [f"### {title}", "", first, "", "| field | default | |", "|---|---|---|"]
        for field, default, meaning in fields(module, name):
            shown = f"`{default}`" if default else "required"
            text = " ".join(textwrap.dedent(meaning).split()).replace("|", "\\|")
            lines.append(f"| `{field}` | {shown} | {text} |")
        pieces.append("\n".join(lines) + "\n")
    return "\n".join(pieces)


if __name__ == "__main__":
    sys.stdout.write(markdown())
