"""What a person's client remembers, in devpi-client's own files, so that either command can follow the other.

    <clientdir>/auth.json       {"auth": {root URL: [[user, token], ...]},        the first user is the last login
                                 "basic_auth": {root URL with port: [user, password]},
                                 "client_cert": {root URL with port: path}}
    <clientdir>/current.json    {"index", "login", "pypisubmit", "simpleindex", "features", "username", "venvdir",
                                 "always_setcfg", "settrusted"}
    <venv>/devpi.json           the same as current.json, for one environment (`devpi use --local`)

Keys that are not ours survive. Files are written whole or not at all, readable by their owner only.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stilton_client import urls
from stilton_client.errors import Failure

LOCAL_FILE = "devpi.json"


class State:
    """The files of one client folder. `environ` says which environment is active and which login is wanted."""

    def __init__(self, clientdir: Path, environ: Mapping[str, str]) -> None:
        self.clientdir = clientdir
        self._environ = environ
        self._auth_path = clientdir / "auth.json"
        self.current_path = self._find_current()
        self.current: dict[str, Any] = _checked(_read(self.current_path), self.current_path)
        self._auth: dict[str, Any] = _read(self._auth_path)

    @property
    def local_path(self) -> Path | None:
        """Where the active environment's own state would be."""
        venv = self._environ.get("VIRTUAL_ENV")
        return Path(venv) / LOCAL_FILE if venv else None

    @property
    def root(self) -> str | None:
        """URL of the server in use, with a slash at its end."""
        login = self.current.get("login")
        return urls.parent(login) if isinstance(login, str) and login else None

    @property
    def login_url(self) -> str:
        """Where logins are sent. Raises Failure without a server in use."""
        login = self.current.get("login")
        if not isinstance(login, str) or not login:
            raise Failure("not connected to a server, see 'devpi use'", "Say which one: devpi use URL")
        return login

    def update(self, **values: object) -> None:
        """Remember values of `current.json`."""
        merged = {**self.current, **values}
        merged.pop("auth", None)  # very old clients kept logins here
        if merged != self.current or not self.current_path.exists():
            self.current = merged
            _write(self.current_path, merged)

    def make_local(self) -> Path:
        """From now on the active environment has a state of its own. Raises Failure without an environment."""
        path = self.local_path
        if path is None:
            raise Failure("Using --local is only valid in an active virtualenv.", "Activate one first.")
        if not path.exists():
            _write(path, self.current)
        self.current_path = path
        return path

    def forget(self) -> Path:
        """Remove the current association with a server. Raises Failure when there is none."""
        if not self.current_path.is_file():
            raise Failure("NO configuration found", "There is nothing to delete.")
        self.current_path.unlink()
        self.current = {}
        return self.current_path

    def user(self, wanted: str | None = None) -> str | None:
        """Who is logged in at the server in use: DEVPI_USER, `wanted`, the last one; None: nobody of that name is."""
        logins = self._logins(self.root)
        name = self._environ.get("DEVPI_USER") or wanted or self.current.get("username")
        if name is None and logins:
            name = next(iter(logins))
        return name if name in logins else None

    def token(self, url: str) -> tuple[str, str] | None:
        """User and token to send to `url`: of the closest root URL above it, never to another server."""
        logins = self._logins(url)
        user = self._environ.get("DEVPI_USER") or self.current.get("username")
        if user is None and logins:
            user = next(iter(logins))
        token = logins.get(user) if user is not None else None
        return (user, token) if user is not None and token is not None else None

    def log_in(self, root: str, user: str, token: str) -> None:
        """Remember a login; it becomes the one in use."""
        others = {name: secret for name, secret in self._logins(root).items() if name != user}
        self._set_logins(root, [[user, token], *([name, others[name]] for name in sorted(others))])
        self.update(username=user)

    def log_off(self, root: str, user: str) -> None:
        """Forget the login of `user`."""
        rest = {name: secret for name, secret in self._logins(root).items() if name != user}
        self._set_logins(root, [[name, rest[name]] for name in sorted(rest)])

    def basic_auth(self, url: str) -> tuple[str, str] | None:
        """User and password that a web server in front of the index wants."""
        found = _closest(self._table("basic_auth"), urls.with_port(url))
        return (str(found[0]), str(found[1])) if isinstance(found, list) and len(found) == 2 else None

    def set_basic_auth(self, root: str, user: str, password: str) -> None:
        """Remember what a web server in front of the index wants."""
        self._set("basic_auth", urls.with_port(root), [user, password])

    def client_cert(self, url: str) -> str | None:
        """Path of the TLS certificate to show to `url`."""
        found = _closest(self._table("client_cert"), urls.with_port(url))
        return found if isinstance(found, str) else None

    def set_client_cert(self, root: str, path: str | None) -> None:
        """Remember (or with None forget) the TLS certificate to show."""
        self._set("client_cert", urls.with_port(root), path)

    def _find_current(self) -> Path:
        local = self.local_path
        return local if local is not None and local.exists() else self.clientdir / "current.json"

    def _table(self, name: str) -> dict[str, Any]:
        table = self._auth.get(name)
        return table if isinstance(table, dict) else {}

    def _logins(self, url: str | None) -> dict[str, str]:
        found = _closest(self._table("auth"), url) if url else None
        pairs = found if isinstance(found, list) else []
        return {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}

    def _set_logins(self, root: str, pairs: list[list[str]]) -> None:
        self._set("auth", root, pairs)

    def _set(self, table: str, key: str, value: object) -> None:
        # Read again: another command may have logged in meanwhile.
        self._auth = _read(self._auth_path)
        entries = dict(self._table(table))
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value
        self._auth = {**self._auth, table: entries}
        _write(self._auth_path, self._auth)


def _closest(table: dict[str, Any], url: str) -> Any:  # noqa: ANN401 - what the file holds
    """The entry of `url` or of the closest folder above it: several servers may live under one host."""
    for candidate in urls.upwards(url):
        if candidate in table:
            return table[candidate]
    return None


_TEXTS = ("index", "login", "pypisubmit", "simpleindex", "username", "venvdir")


def _checked(current: dict[str, Any], path: Path) -> dict[str, Any]:
    """Raises Failure where something stands that nobody wrote who knew what it is for."""
    for name in _TEXTS:
        if not isinstance(current.get(name), str | None):
            raise Failure(f"{path} is damaged: {name} is no text", "Move it away and run `devpi use`.")
    return current


def _read(path: Path) -> dict[str, Any]:
    """A JSON object. Raises Failure when the file holds something else."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read ({error})", "Make it readable, or move it away.") from error
    if not text:
        return {}
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Failure(
            f"{path} is damaged: it holds no JSON object", "Move it away and run `devpi use` and `devpi login`."
        )
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _replacing(path) as file:
            json.dump(data, file, indent=2, sort_keys=True)
    except OSError as error:
        raise Failure(f"{path} cannot be written ({error.strerror})", "--clientdir takes another folder.") from error


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    """A private file beside `path` that takes its place when all is written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        os.replace(name, path)  # noqa: PTH105 - one call, both are names
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
