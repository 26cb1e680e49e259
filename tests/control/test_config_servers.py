"""MCP servers and HTTP tools in the configuration: mistakes by name, requests as they travel."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.control.config import parse
from voiced.control.config.servers import HttpConfig, SecretConfig, address
from voiced.errors import ConfigError
from voiced.mind.inputs import Origin


def problem_of(tables: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse('[[agent]]\nname = "a"\n' + tables, "t")
    return "\n".join(raised.value.problems)


MCP = '[[agent.mcp]]\nname = "m"\nallow = ["*"]\n'
HTTP = '[[agent.tool]]\nname = "x"\ndescription = "d"\nargs = { place = "text" }\n'


@pytest.mark.parametrize(
    ("tables", "part"),
    [
        ('[[agent.mcp]]\nname = "m"\ncommand = "c"', "agent.a.mcp.m.allow is missing"),
        ('[[agent.mcp]]\nname = "m"\ncommand = "c"\nallow = []', "allow names no tool"),
        (MCP, "give either a command to start, or the url"),
        (MCP + 'command = "c"\nurl = "http://h/"', "give either a command to start, or the url"),
        (MCP + 'url = "ftp://h/"', 'url must be as "http://'),
        (MCP + 'url = "http:///x"', 'url must be as "http://'),
        (MCP + 'url = "http://h:99999/"', "url: Port out of range"),
        (MCP + 'url = "http://me:key@h/"', "give it as a header from a file"),
        (MCP + 'command = "c"\nheaders = { A = "b" }', "takes its keys by env"),
        (MCP + 'url = "http://h/"\nheaders = { "A b" = "c" }', "is no header"),
        (MCP + 'url = "http://h/"\nheaders = { A = "b\\nC: d" }', "is no header"),
        (MCP + 'url = "http://h/"\nheaders = { A = { fil = "k" } }', "Did you mean file?"),
        (MCP + 'url = "http://h/"\nheaders = { A = {} }', "name either a file or a variable"),
        (MCP + 'command = "c"\nenv = { "1A" = "x" }', "is no name of a variable"),
        (MCP + 'command = "c"\nprefix = "a b"', "prefix must be"),
        (MCP + 'command = "c"\ncommnd = "c"', "Did you mean command?"),
        (MCP.replace('"m"', '"m m"') + 'command = "c"', "name must be a letter"),
        ((MCP + 'command = "c"\n') * 2, "two MCP servers are named m"),
        (HTTP + 'http = { url = "x" }', 'url must be as "http://'),
        (HTTP + 'http = { url = "http://{place}/" }', "an argument never chooses the host"),
        (HTTP + 'http = { url = "http://h/{plce}" }',
         "http uses {plce}, which is no argument; there are place"),
        (HTTP + 'http = { url = "http://h/", method = "HEAD" }', "method"),
        (HTTP + 'http = { url = "http://h/" }\nsend = { port = 1, address = "/x" }', "not both"),
        (HTTP, "it needs send or http"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_name(tables: str, part: str) -> None:
    assert part in problem_of(tables)


def test_an_http_tool_is_the_tools_process_s() -> None:
    table = HTTP + 'http = { url = "http://h/" }\nwait = 3.0'
    (tool,) = parse('[[agent]]\nname = "a"\n' + table, "t").agent[0].tools().tools
    assert tool.executor == Origin(kind="http", id="x")
    assert (tool.answers, tool.silence_s) == (True, 3.0)


def test_variables_that_hold_keys_are_known() -> None:
    config = parse(
        '[[agent]]\nname = "a"\n' + MCP
        + 'url = "http://h/"\nheaders = { A = { variable = "ONE" } }\n'
        + HTTP + 'http = { url = "http://h/", headers = { A = { variable = "TWO" }, B = "c" } }\n'
        + '[[agent.mcp]]\nname = "n"\nallow = ["*"]\ncommand = "c"\n'
        + 'env = { A = { variable = "THREE" }, B = { file = "f" } }\n',
        "t",
    )  # fmt: skip
    assert config.variables == {"ONE", "TWO", "THREE"}


@pytest.mark.parametrize(
    ("url", "method", "arguments", "travels"),
    [
        ("http://h/x", "GET", {}, ("http://h/x", "")),
        ("http://h/{a}/now", "GET", {"a": "für 1/2"}, ("http://h/f%C3%BCr%201%2F2/now", "")),
        ("http://h/", "GET", {"a": "x&y", "n": 2}, ("http://h/?a=x%26y&n=2", "")),
        ("http://h/?k=1", "DELETE", {"a": True}, ("http://h/?k=1&a=true", "")),
        ("http://h/?q={a}", "GET", {"a": "x y", "b": 0.5}, ("http://h/?q=x%20y&b=0.5", "")),
        ("http://h/{a}", "POST", {"a": 3, "b": [1]}, ("http://h/3", '{"b":[1]}')),
        ("http://h/", "PUT", {}, ("http://h/", "{}")),
    ],
)  # fmt: skip
def test_a_call_as_it_travels(
    url: str, method: Any, arguments: dict[str, Any], travels: tuple[str, str]
) -> None:
    assert address(HttpConfig(url=url, method=method), arguments) == travels


@pytest.mark.parametrize("word", ["", ".", ".."])
def test_an_argument_never_leaves_its_folder(word: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in an address"):
        address(HttpConfig(url="http://h/halls/{a}/next"), {"a": word})


@given(st.text(), st.text())
def test_whatever_a_model_says_stays_in_its_place(one: str, other: str) -> None:
    http = HttpConfig(url="http://h:1/halls/x{a}/next")
    try:
        url, _ = address(http, {"a": one, "b": other})
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for c in one + other)
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("http", "h:1", "")
    first, halls, said, last = parts.path.split("/")
    assert (first, halls, unquote(said), last) == ("", "halls", f"x{one}", "next")
    assert parse_qsl(parts.query, keep_blank_values=True) == [("b", other)]


def test_a_secret_is_one_place() -> None:
    with pytest.raises(ValueError, match="either a file or a variable"):
        SecretConfig(file="a", variable="B")
