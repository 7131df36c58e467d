"""Which configuration files make pip, uv, distutils and buildout use an index, and what has to stand in them.

    tool       file, the first that applies                             settings
    pip        <venv>/pip.conf                                          [global] index_url, trusted-host
               $PIP_CONFIG_FILE (os.devnull: pip reads no file at all)  [search] index
               ~/.pip/pip.conf, if it is there and the next is not
               <pip's folder of the user>/pip.conf
    uv         <venv>/uv.toml                                           index-url (or the default [[index]])
               $UV_CONFIG_FILE                                          allow-insecure-host
               <uv's folder of the user>/uv.toml
    distutils  ~/.pydistutils.cfg, without a venv                       [easy_install] index_url
    buildout   ~/.buildout/default.cfg, without a venv                  [buildout] index

Contents are read and edited in memory here (`inifiles`, `tomlfiles`); `configbook` writes and restores them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

from stilton_client import inifiles, tomlfiles, urls
from stilton_client.errors import Failure
from stilton_client.inifiles import BrokenText, Option

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BY_HAND = "Mend the file and try again, or make the setting in it by hand."
_OFF = "PIP_CONFIG_FILE switches all of pip's files off, this one too, for as long as it is set to that."
_UNSEEN = "uv does not look into environments by itself: set UV_CONFIG_FILE to this path."
T = TypeVar("T")


class ConfigError(Failure):
    """A configuration file cannot be read or changed; it is as it was. `line` counts from 1."""

    def __init__(self, path: Path, problem: str, advice: str, line: int | None = None) -> None:
        where = str(path) if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {problem}.", advice)
        self.path = path
        self.problem = problem
        self.line = line

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


@dataclass(frozen=True)
class Settings:
    """What tools are told. URLs may carry credentials: then this is a secret.

    `trusted`: True to use the host without https, or with a certificate that nobody vouches for; False takes
    the host off the list of trusted ones; None leaves that list alone.
    Raises ValueError for what cannot stand in a file as a URL, such as spaces.
    """

    simple: str  # .../user/index/+simple/
    index: str  # .../user/index
    trusted: bool | None = None

    def __post_init__(self) -> None:
        for url in (self.simple, self.index):
            if " " in url or not url.isprintable() or not urlsplit(url).hostname:
                raise ValueError("not a URL that can stand in a configuration file")

    @property
    def host(self) -> str:
        """The bare host: pip and uv then trust it on all ports."""
        return urlsplit(self.simple).hostname or ""

    @property
    def secret(self) -> bool:
        """Whether a URL carries credentials."""
        return any("@" in urlsplit(url).netloc for url in (self.simple, self.index))


@dataclass(frozen=True)
class Status:
    """What a configuration file says; `url` is without its password."""

    path: Path
    exists: bool
    url: str | None

    @property
    def line(self) -> str:
        """One line for people."""
        if not self.exists:
            return f"{self.path}: no config file exists"
        return f"{self.path}: {self.url or 'no index server configured'}"


@dataclass(frozen=True)
class Target:
    """One file of one tool.

    `successor` is set where `path` is an old location; people may want to move the file there.
    `hint` is set where the tool reads the file only if something else is done.
    """

    tool: str
    path: Path
    successor: Path | None = None
    hint: str = ""

    @property
    def legacy(self) -> bool:
        """Whether an old location is in use."""
        return self.successor is not None

    @property
    def is_off(self) -> bool:
        """Whether the tool was told to read no file: there is none to change."""
        return self.path == Path(os.devnull)

    def status(self) -> Status:
        """What the file says now. Raises ConfigError if it cannot be read."""
        if self.is_off:
            return Status(self.path, exists=True, url=None)
        content = read(self.path)
        if content is None:
            return Status(self.path, exists=False, url=None)
        url = self._ask(lambda dialect: dialect.url(content))
        return Status(self.path, exists=True, url=_shown(url) if url else None)

    def applied(self, content: bytes, settings: Settings) -> bytes:
        """The content that makes the tool use the index. Raises ConfigError."""
        return self._ask(lambda dialect: dialect.applied(content, settings))

    def undone(self, content: bytes, original: bytes, written: Sequence[Settings]) -> bytes:
        """The content with our settings as in `original`; what a person changed since stays. Raises ConfigError."""
        return self._ask(lambda dialect: dialect.undone(content, original, written))

    def _ask(self, question: Callable[["_Dialect"], T]) -> T:
        try:
            return question(_DIALECTS[self.tool])
        except BrokenText as broken:
            raise ConfigError(self.path, broken.problem, _BY_HAND, broken.line) from broken


def targets(environ: Mapping[str, str], home: Path, venv: Path | None, platform: str) -> list[Target]:
    """The files to change; `platform` as in `sys.platform`. Looks which of them exist."""
    found = [_pip(environ, home, venv, platform), _uv(environ, home, venv, platform)]
    if venv is None:
        dot = "" if platform == "win32" else "."
        found.append(Target("distutils", home / f"{dot}pydistutils.cfg"))
        found.append(Target("buildout", home / ".buildout" / "default.cfg"))
    return found


def read(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none. Raises ConfigError."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(path, "it is not a regular file", "Name another file, or remove this one.")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symbolic links
        raise unusable(path, error, "read") from error


def unusable(path: Path, error: Exception, verb: str) -> ConfigError:
    """What the system says, in the words of people."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(path, f"it cannot be {verb}: {reason}", "Look at its owner, its mode and its folder.")


def _pip(environ: Mapping[str, str], home: Path, venv: Path | None, platform: str) -> Target:
    name = "pip.ini" if platform == "win32" else "pip.conf"
    named = environ.get("PIP_CONFIG_FILE")
    if venv is not None:
        return Target("pip", venv / name, hint=_OFF if named == os.devnull else "")
    if named:
        return Target("pip", Path(named).absolute())
    usual = _pip_folder(environ, home, platform) / name
    legacy = home / ("pip" if platform == "win32" else ".pip") / name
    # pip reads both, and what stands in the newer place wins.
    if legacy.exists() and not usual.exists():
        return Target("pip", legacy, successor=usual)
    return Target("pip", usual)


def _pip_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    if platform == "darwin":
        # pip asks whether the folder is there, and does not look at XDG_CONFIG_HOME.
        library = home / "Library" / "Application Support" / "pip"
        return library if library.is_dir() else home / ".config" / "pip"
    return _user_folder(environ, home, platform) / "pip"


def _uv(environ: Mapping[str, str], home: Path, venv: Path | None, platform: str) -> Target:
    if venv is not None:
        return Target("uv", venv / "uv.toml", hint=_UNSEEN)
    if named := environ.get("UV_CONFIG_FILE"):
        return Target("uv", Path(named).absolute())
    return Target("uv", _user_folder(environ, home, platform) / "uv" / "uv.toml")


def _user_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    if platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
    return Path(environ.get("XDG_CONFIG_HOME", "").strip() or home / ".config")


class _Dialect(Protocol):
    """How a tool's file says which index to use. Every method raises BrokenText."""

    def url(self, content: bytes) -> str | None: ...

    def applied(self, content: bytes, settings: Settings) -> bytes: ...

    def undone(self, content: bytes, original: bytes, written: Sequence[Settings]) -> bytes: ...


@dataclass(frozen=True)
class _Ini:
    simple: Option
    index: Option | None = None
    hosts: Option | None = None

    def url(self, content: bytes) -> str | None:
        _, text = _opened(content, "surrogateescape")
        inifiles.check(text)
        return inifiles.value(text, self.simple)

    def applied(self, content: bytes, settings: Settings) -> bytes:
        bom, text = _opened(content, "surrogateescape")
        for option, url in self._pairs(settings):
            text = inifiles.set_value(text, option, url)
        return bom + self._host_applied(text, settings).encode(errors="surrogateescape")

    def undone(self, content: bytes, original: bytes, written: Sequence[Settings]) -> bytes:
        bom, text = _opened(content, "surrogateescape")
        _, before = _opened(original, "surrogateescape")
        ours = [pair for settings in written for pair in self._pairs(settings)]
        for option, url in reversed(ours):
            if inifiles.value(text, option) == url:
                text = inifiles.put_back(text, option, before)
        for settings in written:
            text = self._host_undone(text, before, settings)
        return bom + text.encode(errors="surrogateescape")

    def _pairs(self, settings: Settings) -> list[tuple[Option, str]]:
        pairs = [(self.simple, settings.simple)]
        return [*pairs, (self.index, settings.index)] if self.index else pairs

    def _host_applied(self, text: str, settings: Settings) -> str:
        if self.hosts is None or settings.trusted is None:
            return text
        change = inifiles.add_word if settings.trusted else inifiles.drop_word
        return change(text, self.hosts, settings.host)

    def _host_undone(self, text: str, original: str, settings: Settings) -> str:
        if self.hosts is None or settings.trusted is None:
            return text
        ours = self._host_applied(original, settings)
        if inifiles.value(text, self.hosts) == inifiles.value(ours, self.hosts):
            return inifiles.put_back(text, self.hosts, original) if ours != original else text
        # A person changed the list: only our word is taken out of it, or put in.
        had = settings.host in (inifiles.value(original, self.hosts) or "").split()
        if settings.trusted and not had:
            return inifiles.drop_word(text, self.hosts, settings.host, original)
        if had and not settings.trusted:
            return inifiles.add_word(text, self.hosts, settings.host)
        return text


class _UvToml:
    def url(self, content: bytes) -> str | None:
        return tomlfiles.index_url(_opened(content, "strict")[1])

    def applied(self, content: bytes, settings: Settings) -> bytes:
        bom, text = _opened(content, "strict")
        text = tomlfiles.set_index_url(text, settings.simple)
        if settings.trusted is False:
            text = tomlfiles.drop_host(text, settings.host)
        elif settings.trusted and urlsplit(settings.simple).scheme == "https":
            text = tomlfiles.add_host(text, settings.host)
        return bom + text.encode()

    def undone(self, content: bytes, original: bytes, written: Sequence[Settings]) -> bytes:
        bom, text = _opened(content, "strict")
        _, before = _opened(original, "strict")
        had = tomlfiles.hosts(before)
        for settings in written:
            if tomlfiles.index_url(text) == settings.simple:
                text = tomlfiles.put_back_index_url(text, before)
            if settings.trusted and settings.host not in had:
                text = tomlfiles.drop_host(text, settings.host)
            elif settings.trusted is False and settings.host in had:
                text = tomlfiles.add_host(text, settings.host)
        return bom + text.encode()


_DIALECTS: Final[Mapping[str, _Dialect]] = {
    "pip": _Ini(Option("global", "index_url"), Option("search", "index"), Option("global", "trusted-host")),
    "uv": _UvToml(),
    "distutils": _Ini(Option("easy_install", "index_url")),
    "buildout": _Ini(Option("buildout", "index")),
}


def _opened(content: bytes, errors: str) -> tuple[bytes, str]:
    """The byte order mark, if there is one, and the text behind it."""
    if content.startswith(_UTF16):
        raise BrokenText("it is UTF-16 text, and would have to be UTF-8")
    bom = _BOM if content.startswith(_BOM) else b""
    try:
        return bom, content.removeprefix(_BOM).decode(errors=errors)
    except UnicodeDecodeError as error:
        raise BrokenText("it is not UTF-8 text", content.count(b"\n", 0, error.start) + 1) from None


def _shown(url: str) -> str:
    """The URL without its password and without what could upset a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in urls.hidden(url))
