"""Where a release goes outside: `.pypirc`, and PyPI as the default.

    [REPOSITORY]
    repository = https://...      PyPI's upload URL if it is left out
    username = ...                __token__ if it is left out
    password = ...                asked elsewhere (keyring, the person) if it is left out

Source: the packaging guide's specification of .pypirc.
"""

import configparser
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from stilton_client import urls
from stilton_client.errors import Failure
from stilton_client.urls import TOKEN_USER


@dataclass(frozen=True)
class Repository:
    """Where to post, as whom. `password` is None if the file does not tell it."""

    url: str
    username: str
    password: str | None = field(repr=False)


def repository(name: str, path: Path, *, must_exist: bool) -> Repository:
    """What `name` (a section of the file, or a URL) stands for. Raises Failure."""
    if urls.is_http(name):
        bare, login = urls.without_login(name)
        return Repository(bare, login[0] if login else TOKEN_USER, login[1] if login else None)
    sections = _read(path, must_exist=must_exist or name != "pypi")
    if sections is None:
        return Repository(default_url(), TOKEN_USER, None)
    if name not in sections:
        known = ", ".join(section for section in sections.sections() if section != "distutils") or "none"
        raise Failure(f"{path} has no section [{name}]", f"It has: {known}.")
    section = sections[name]
    return Repository(
        section.get("repository") or default_url(), section.get("username") or TOKEN_USER, section.get("password")
    )


def default_url() -> str:
    """PyPI's address for uploads."""
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415 - only pushes to PyPI need it

    parts = urlsplit(str(DEFAULT_INDEX))
    return f"{parts.scheme}://upload.{parts.hostname}/legacy/"


def _read(path: Path, *, must_exist: bool) -> configparser.ConfigParser | None:
    parser = configparser.ConfigParser(interpolation=None)  # passwords have % in them
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if must_exist:
            raise Failure(
                f"no pypirc file found at: {path}", "Create it, name one with --pypirc, or give a URL: pypi:https://..."
            ) from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read ({error})") from error
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Failure(f"{path} is not understood: {str(error).splitlines()[0]}") from error
    return parser
