"""`voiced callbacks stub`: a Python file with every callback, made from the table of addresses."""

from __future__ import annotations

import argparse
from pathlib import Path

from voiced.errors import ExitCode, VoicedError
from voiced.parameters import CALLBACKS, Address, Reading

_INTRO = '''"""What this agent does when something happens. `voiced callbacks stub` wrote it.

Name this file in the configuration:

    [agent.par]
    Callbackdat = "{name}"

Every function is called with a dict, `info`. Those that you do not need you may delete. The file is
read again whenever it is saved. In it there are, without an import:

    agent.par.Volume = 0.4           sets a parameter; agent.par.Volume reads it
    agent.par.Connect.pulse()        fires a pulse; agent.par.Sendtext.pulse("hello") takes a text
    agent.say("Good evening")        speaks; agent.note("It rains") tells the model in silence
    op("{agent}")                the agent, as is info["ownerComp"]
    @tool                            offers a function to the model
"""
'''
_TOOL = '''

# @tool
# def weather(place: str) -> str:
#     """Tell the weather.
#
#     Args:
#         place: a town
#     """
#     return f"It rains in {place}."
'''
_WORDS = (("JSON", "a dict"), ("0 or 1", "True or False"), ("always 1", "always True"))
"""What OSC carries, and what a script is given for it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.description = "Python files that take callbacks."
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    stub = verbs.add_parser("stub", help="a file with every callback's signature")
    stub.add_argument("file", nargs="?", type=Path, help="where to write it; none = to stdout")


def run(args: argparse.Namespace) -> int:
    """Print the file, or write it where there is none yet."""
    if args.file is None:
        print(stub(), end="")
        return ExitCode.DONE
    try:
        with args.file.open("x", encoding="utf-8") as file:
            file.write(stub(args.file.name))
    except FileExistsError:
        raise VoicedError(
            f"{args.file} is there already and stays as it is; name another file"
        ) from None
    return ExitCode.DONE


def stub(name: str = "callbacks.py", agent: str = "voice_agent") -> str:
    """Return the text of the file."""
    functions = [_function(name, address) for name, address in CALLBACKS.items()]
    return _INTRO.format(name=name, agent=agent) + "".join(functions) + _TOOL


def _function(name: str, address: Address) -> str:
    lines = []
    for argument in address.arguments:
        about = argument.doc
        if argument.reading is not Reading.PLAIN:
            for carried, held in _WORDS:
                about = about.replace(carried, held)
        lines.append(f'    info["{argument.name}"]' + (f": {about}" if about else ""))
    summary = address.doc.partition(":")[0].replace("Tells ", "Hears ", 1)
    return f'\n\ndef {name}(info):\n    """{summary}.\n\n' + "\n".join(lines) + '\n    """\n'
