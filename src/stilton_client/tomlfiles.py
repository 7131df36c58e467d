"""The text of `uv.toml`, edited so that uv uses an index: what is not ours stays as it is, byte for byte.

uv takes its default index from, strongest first:

    [[index]] with default = true    its `url`
    index-url                        at the top

so an entry of the first kind is changed where there is one. New settings become new first lines of the file:
there they belong to no table. `allow-insecure-host` is for https with a certificate that nobody vouches for;
plain http needs nothing.

An edit is a guess and a judge: each place in the text that could be meant is tried, and the first is taken after
which `tomllib` reads what we want and everything else as before. So no grammar of TOML is needed here.

Pure: text in, text out.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from stilton_client.inifiles import BrokenText

Table = dict[str, Any]

_URL = "index-url"
_HOSTS = "allow-insecure-host"
_TOKEN = re.compile(
    r"""
      (?P<string> "{3}(?:\\.|[^\\])*?"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
    | \#[^\n]*
    | (?P<open> \[ )
    """,
    re.VERBOSE | re.DOTALL,
)


def index_url(text: str) -> str | None:
    """The URL that uv takes for its default index, if the file names one."""
    holder, key = _place(_parsed(text))
    found = holder.get(key)
    return found if isinstance(found, str) else None


def set_index_url(text: str, url: str) -> str:
    """Make this the default index."""
    wanted = _parsed(text)
    holder, key = _place(wanted)
    old = holder.get(key)
    if old == url:
        return text
    holder[key] = url
    if holder is wanted and old is None:
        return _judged([_with_line(text, _URL, url)], wanted)
    return _judged(_replaced(text, old, _literal(url)), wanted)


def put_back_index_url(text: str, original: str) -> str:
    """Make the default index what it is in `original`; none, if it names none."""
    old = index_url(original)
    if old is not None:
        return set_index_url(text, old)
    wanted = _parsed(text)
    present = wanted.pop(_URL, None)
    return text if present is None else _judged(_without_line(text, present), wanted)


def hosts(text: str) -> tuple[str, ...]:
    """The hosts whose certificates are not checked. Raises BrokenText if they are no list."""
    found = _parsed(text).get(_HOSTS, [])
    if not isinstance(found, list):
        raise BrokenText(f"{_HOSTS} is not a list")
    return tuple(host for host in found if isinstance(host, str))


def add_host(text: str, host: str) -> str:
    """Have this host's certificate not checked."""
    if host in hosts(text):
        return text
    wanted = _parsed(text)
    if _HOSTS not in wanted:
        return _judged([_with_line(text, _HOSTS, [host])], {**wanted, _HOSTS: [host]})
    wanted[_HOSTS].insert(0, host)
    return _judged(_with_element(text, host), wanted)


def drop_host(text: str, host: str) -> str:
    """Have this host's certificate checked again; the line goes with its last host."""
    if host not in hosts(text):
        return text
    wanted = _parsed(text)
    wanted[_HOSTS].remove(host)
    guesses = _without_element(text, host)
    if wanted[_HOSTS]:
        return _judged(guesses, wanted)
    bare = {key: value for key, value in wanted.items() if key != _HOSTS}
    return _judged([*_without_line(text, host), *guesses], bare, wanted)


def _place(table: Table) -> tuple[Table, str]:
    """Where the URL of the default index stands, or would stand: in which table, under which key."""
    entries = table.get("index")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("default") is True:
            return entry, "url"
    return table, _URL


# Guesses: texts that might be the edited one.


def _with_line(text: str, key: str, value: object) -> str:
    return f"{key} = {_literal(value)}{_ending(text)}{text}"


def _replaced(text: str, old: object, new: str) -> Iterator[str]:
    for start, end in _strings(text, old):
        yield text[:start] + new + text[end:]


def _without_line(text: str, value: object) -> Iterator[str]:
    for start, end in _strings(text, value):
        rest = text.find("\n", end)
        yield text[: text.rfind("\n", 0, start) + 1] + (text[rest + 1 :] if rest >= 0 else "")


def _with_element(text: str, element: str) -> Iterator[str]:
    for token in _TOKEN.finditer(text):
        if token["open"]:
            before, after = text[: token.end()] + _literal(element), text[token.end() :]
            yield f"{before},{after}" if after.startswith(("\r", "\n")) else f"{before}, {after}"
            yield before + after


def _without_element(text: str, element: str) -> Iterator[str]:
    for start, end in _strings(text, element):
        before, after = text[:start], text[end:]
        # A line of its own, or with the comma behind it, or with the comma before it, or alone.
        if line := re.match(r"[ \t]*,?[ \t]*\r?\n", after):
            yield re.sub(r"(?<=\n)[ \t]*\Z", "", before) + after[line.end() :]
        yield before + re.sub(r"\A[ \t]*,[ \t]*", "", after)
        yield re.sub(r",[ \t]*\Z", "", before) + after
        yield before + after


def _strings(text: str, value: object) -> Iterator[tuple[int, int]]:
    """Where strings of this value begin and end; keys may be among them."""
    for token in _TOKEN.finditer(text):
        if token["string"] and tomllib.loads(f"x = {token[0]}")["x"] == value:
            yield token.span()


def _literal(value: object) -> str:
    # JSON's strings and lists are TOML's.
    return json.dumps(value, ensure_ascii=False)


def _ending(text: str) -> str:
    found = re.search(r"\r?\n", text)
    return found[0] if found else "\n"


# The judge.


def _judged(guesses: Iterable[str], *wanted: Table) -> str:
    """The first guess that says what is wanted. Raises BrokenText if none does."""
    says = [_canonical(table) for table in wanted]
    for guess in guesses:
        try:
            if _canonical(tomllib.loads(guess)) in says:
                return guess
        except tomllib.TOMLDecodeError:
            continue
    raise BrokenText("it is written in a way that cannot be edited without changing other settings")


def _canonical(table: Table) -> str:
    # As text: a `nan` is not equal to itself.
    return json.dumps(table, sort_keys=True, default=repr)


def _parsed(text: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise BrokenText(f"it is not TOML: {what}", int(line[1]) if line else None) from None
