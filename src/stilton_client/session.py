"""One run of the command: the person's state, the server and index it is about, requests as the person.

Which index a command is about, first that says so: `--index` (NAME, USER/NAME or a URL), the variable DEVPI_INDEX (the
same), what `devpi use` remembered. Only `devpi use` changes what is remembered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from stilton_client import urls
from stilton_client.errors import Failure, Refused
from stilton_client.http import Http, Login, Reply
from stilton_client.state import State
from stilton_client.terminal import Terminal

LOGIN_ADVICE = "Log in first: devpi login USER"


@dataclass(frozen=True)
class Index:
    """Where an index is served, as its server says (`+api`).

    `root`: the server, with a slash at the end; `url`: the index, without; `simple`: its pages; `submit`: where
    uploads go, None for a mirror.
    """

    root: str
    url: str
    simple: str
    submit: str | None
    features: frozenset[str]

    @property
    def name(self) -> str:
        """`user/index`."""
        return self.url[len(self.root) :].strip("/")

    def project(self, name: str) -> str:
        """URL of a project's JSON, with the slash that devpi-server's DELETE wants."""
        return urls.child(self.url, name) + "/"


class Session:
    """What a command works with."""

    def __init__(self, terminal: Terminal, clientdir: Path, environ: Mapping[str, str], cwd: Path) -> None:
        self.terminal = terminal
        self.environ = environ
        self.cwd = cwd
        self.state = State(clientdir, environ)
        self.http = Http(environ, self.login_for, debug=terminal.debug, note=terminal.note)

    @property
    def root(self) -> str:
        """The server in use. Raises Failure when there is none."""
        root = self._override.root if self._override is not None else self.state.root
        if root is None:
            raise Failure("not connected to a server, see 'devpi use'", "Say which one: devpi use URL")
        return root

    @property
    def user(self) -> str | None:
        """Who is logged in there."""
        return self.state.user() if self._override is None else self._user_at(self._override.root)

    def login_for(self, url: str) -> Login:
        """What may be sent to a URL: only what belongs to its own server."""
        return Login(self.state.token(url), self.state.basic_auth(url), self.state.client_cert(url))

    def require_user(self) -> str:
        """Raises Failure when nobody is logged in."""
        user = self.user
        if user is None:
            raise Failure("you need to be logged in (use 'devpi login USER')")
        return user

    def index(self, wanted: str | None = None) -> Index:
        """The index a command is about. Raises Failure when none is in use or it has another form."""
        if wanted is None:
            if self._override is not None:
                return self._override
            return self._remembered()
        return self.resolve(wanted)

    def resolve(self, wanted: str) -> Index:
        """An index by NAME (of the one logged in), USER/NAME, or URL; asks its server."""
        url = self.index_url(wanted)
        found = self.endpoints(url)
        if found is None:
            raise Failure(f"{url} is a server, not an index", "Say which index: USER/NAME.")
        return found

    def index_url(self, wanted: str) -> str:
        """URL of an index by NAME, USER/NAME or URL, without asking. Raises Failure."""
        if urls.is_http(wanted):
            return wanted.rstrip("/")
        name = wanted.strip("/")
        if name.count("/") > 1 or not name:
            raise Failure(f"index {wanted!r} not of form USER/NAME or NAME")
        if "/" not in name:
            name = f"{self.require_user()}/{name}"
        return urls.child(self.root, *name.split("/"))

    def endpoints(self, url: str, *, login: Login | None = None) -> Index | None:
        """What the server says about itself at `url`; None: it is a server's root or a user. Raises Failure."""
        result = self.discover(url, login=login)
        return index_of(result, url)

    def discover(self, url: str, *, login: Login | None = None) -> dict[str, Any]:
        """The answer of `+api`. Raises Failure when this is no index server."""
        sent = login if login is not None else self.login_for(url)
        reply = self.http.api("GET", urls.child(url, "+api"), login=sent)
        if reply.status == 403 and sent.token is not None:
            # A login that has ended must not keep anybody from looking.
            reply = self.http.api("GET", urls.child(url, "+api"), login=Login(None, sent.basic, sent.cert))
        if not reply.ok:
            known = isinstance(reply.payload, dict) and bool(reply.message)
            advice = "See what there is: devpi use -l" if known else "Is this the URL of an index server?"
            raise Refused(reply.status, reply.refusal(), advice)
        if not isinstance(reply.result, dict) or not _is_api(reply.result):
            raise Failure(f"{urls.hidden(url)} is no index server: its answer is not understood", "Check the URL.")
        _check_place(url, reply.result)
        return reply.result

    def api(self, method: str, url: str, data: object = None, *, type: str | None = None) -> Reply:  # noqa: A002
        """Ask as the person. Raises Refused for any status but 200 and 201, Failure for another `type` of result."""
        reply = self.http.api(method, url, data)
        if not reply.ok:
            raise self.refused(reply)
        if type is not None and reply.type != type:
            raise Failure(f"{urls.hidden(url)}: got result type {reply.type!r}, expected {type!r}")
        return reply

    def refused(self, reply: Reply) -> Refused:
        """The error of an answer, with what to do about it; forgets a login that has ended."""
        advice = ""
        if "non-volatile" in reply.message:
            advice = "It keeps what it has: devpi remove --force, or first devpi index NAME volatile=True"
        elif reply.status in (401, 403):
            advice = self._who_advice(reply.url)
        return Refused(reply.status, reply.refusal(), advice)

    def has_login_ended(self, root: str) -> bool:
        """Whether the server no longer knows the login that is sent; if so it is forgotten."""
        sent = self.login_for(root)
        if sent.token is None:
            return False
        status = self.discover(root).get("authstatus")
        if not isinstance(status, list) or not status or status[0] == "ok":
            return False
        self.state.log_off(root, sent.token[0])
        return True

    def _who_advice(self, url: str) -> str:
        root = self.root if urls.same_server(url, self.root) else url
        sent = self.login_for(root)
        if sent.token is None:
            return LOGIN_ADVICE
        user = sent.token[0]
        if self.has_login_ended(root):
            return f"The login of {user!r} has ended: devpi login {user}"
        return f"You are logged in as {user!r}."

    @cached_property
    def _override(self) -> Index | None:
        """The index that DEVPI_INDEX names."""
        named = self.environ.get("DEVPI_INDEX")
        if not named:
            return None
        if urls.is_http(named):
            url = named.rstrip("/")
        else:
            root = self.state.root
            if root is None:
                raise Failure(
                    f"No server set and DEVPI_INDEX from environment is not a full valid URL: {named}",
                    "Set it to a URL, or `devpi use` a server.",
                )
            name = named.strip("/")
            owner = self.state.user()
            if "/" not in name:
                current = self.state.current.get("index")
                owner = owner or (str(current).rstrip("/").split("/")[-2] if current else None)
                if owner is None:
                    raise Failure(f"DEVPI_INDEX is {named!r} and nobody is logged in", "Set it to USER/NAME.")
                name = f"{owner}/{name}"
            url = urls.child(root, *name.split("/"))
        self.terminal.note(f"Using DEVPI_INDEX from environment: {urls.hidden(named)}")
        found = self.endpoints(url)
        if found is None:
            raise Failure(f"DEVPI_INDEX is {named!r}, which is a server and not an index", "Add USER/NAME.")
        return found

    def _remembered(self) -> Index:
        current = self.state.current
        root = self.state.root
        if not current.get("index") or root is None:
            raise Failure("not connected to an index, see 'devpi use'", "Say which one: devpi use USER/NAME")
        return Index(
            root,
            str(current["index"]).rstrip("/"),
            str(current.get("simpleindex") or ""),
            current.get("pypisubmit"),
            frozenset(current.get("features") or ()),
        )

    def _user_at(self, root: str) -> str | None:
        token = self.state.token(root)
        return token[0] if token else None


def _is_api(result: Mapping[str, Any]) -> bool:
    """Whether an answer of `+api` has what is needed, and only text that can be a URL."""
    found = [result.get(name) for name in ("login", "index", "simpleindex", "pypisubmit")]
    return isinstance(found[0], str) and all(
        url is None or (isinstance(url, str) and url.isprintable() and " " not in url) for url in found
    )


def _check_place(url: str, result: Mapping[str, Any]) -> None:
    """Raises Failure when a login would go elsewhere, or in the clear: logins belong to the server that is asked."""
    login = urljoin(url, str(result["login"]))
    if url.startswith("https:") and not login.startswith("https:"):
        raise Failure(
            f"{urls.hidden(url)} says that logins go to {urls.hidden(login)}, in the clear",
            "Have the proxy send X-Outside-Url, or start the server with --outside-url https://...",
        )
    for name in ("index", "simpleindex", "pypisubmit"):
        if result.get(name) and not urls.same_server(login, urljoin(login, str(result[name]))):
            raise Failure(
                f"{urls.hidden(url)} contradicts itself: logins go to {urls.hidden(login)}, {name} is elsewhere",
                "Its operator has to set --outside-url.",
            )


def index_of(result: Mapping[str, Any], url: str) -> Index | None:
    """The index that an answer of `+api` describes; its URLs may be relative."""
    root = urls.parent(urljoin(url, str(result["login"])))
    index = result.get("index")
    if not index:
        return None
    submit = result.get("pypisubmit")
    return Index(
        root,
        urljoin(root, str(index)).rstrip("/"),
        urljoin(root, str(result.get("simpleindex") or f"{index}/+simple/")),
        urljoin(root, str(submit)) if submit else None,
        frozenset(map(str, result.get("features") or ())),
    )
