"""`devpi use`: which server, index and environment the other commands are about, and what installers are told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stilton_client import installers, keyvalues, snippets, urls, venvs
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, EXIT_USAGE, Failure, Refused
from stilton_client.http import Login
from stilton_client.session import Index, Session, index_of

_ENDPOINTS = ("login", "pypisubmit", "simpleindex")


@dataclass(frozen=True)
class Place:
    """A server, and an index of it or none."""

    root: str
    index: Index | None
    result: Mapping[str, Any]
    """The answer of `+api`."""


@command(
    "use",
    example="""devpi use http://localhost:3141
               devpi use --set-cfg root/pypi
               devpi use -l
               devpi use --show-config poetry
               devpi use --delete""",
    json=True,
)
@click.argument("url", required=False)
@click.option("--local", is_flag=True, help="keep this choice in the active virtual environment only")
@click.option("--set-cfg", is_flag=True, help="make pip, uv, setuptools and buildout use the index")
@click.option(
    "-t",
    "--pip-set-trusted",
    "trusted",
    type=click.Choice(["yes", "no", "auto"]),
    default="auto",
    help="with --set-cfg: trust the host without a good certificate; auto: for http beyond this machine  [auto]",
)
@click.option("--always-set-cfg", type=click.Choice(["yes", "no"]), help="do what --set-cfg does at each `devpi use`")
@click.option("--venv", metavar="DIR", help="virtual environment for --set-cfg, install and test; - for none")
@click.option("--urls", "show_urls", is_flag=True, help="show the URLs of login, uploads and pages")
@click.option("-l", "--list", "listing", is_flag=True, help="list the indexes of the server")
@click.option("-u", "--user", metavar="USER", help="with --list: of this user only; else: which login to use")
@click.option("--delete", is_flag=True, help="forget the server, and give back the configuration files of --set-cfg")
@click.option("--client-cert", metavar="PEM", help="certificate to show to the server (deprecated)")
@click.option(
    "--show-config",
    metavar="TOOL",
    shell_complete=lambda _ctx, _param, typed: [tool for tool in snippets.tools() if tool.startswith(typed)],
    help=f"print what to paste for a tool: {', '.join(snippets.tools())}",
)
def use_(session: Session, url: str | None, **options: Any) -> int:  # noqa: ANN401 - click's
    """Show or choose the server, index and virtual environment that the other commands are about.

    URL is a server's or an index's URL; on a server in use also USER/NAME, or the NAME of an own index.
    Without URL the current choice is shown. DEVPI_INDEX names another index for as long as it is set.
    """
    if options["local"]:
        session.terminal.info(f"Creating local configuration at {session.state.make_local()}")
    if options["delete"]:
        return _delete(session)
    place = _place(session, url, options)
    if options["listing"]:
        _list(session, place, options["user"])
        return 0
    if options["show_config"]:
        text = _snippet(session, place, options["show_config"])
        session.terminal.line(text.rstrip("\n"))
        session.terminal.data({"tool": options["show_config"], "text": text})
        return 0
    return _show(session, place, options)


def _place(session: Session, url: str | None, options: Mapping[str, Any]) -> Place | None:
    """Where we are now; remembered unless it is only to be looked at."""
    state = session.state
    only_look = options["listing"] or options["show_urls"] or options["show_config"]
    if url is None:
        if session.environ.get("DEVPI_INDEX"):
            named = session.index()
            return Place(named.root, named, session.discover(named.url))
        url = state.current.get("index") or state.root
        if url is None:
            return None
        only_look = False
    elif session.environ.get("DEVPI_INDEX"):
        session.terminal.note("Using index URL from command line instead of DEVPI_INDEX from environment.")
    target, basic = urls.without_login(_absolute(session, url))
    cert = _cert(session, options["client_cert"])
    login = session.login_for(target)
    result = session.discover(target, login=Login(login.token, basic or login.basic, cert or login.cert))
    index = index_of(result, target)
    place = Place(urls.parent(urls.join(target, str(result["login"]))), index, result)
    if not only_look:
        _remember(session, place, basic, cert)
    found = index.url if index is not None else place.root
    if urls.is_http(url) and not urls.same_server(target, found):
        session.terminal.warn(f"The server has rewritten the url to: {found}")
    return place


def _absolute(session: Session, url: str) -> str:
    """Raises Failure for what cannot be one."""
    if urls.is_http(url):
        return url.rstrip("/").removesuffix("/+simple")
    if ":" in url.partition("/")[0] and "://" not in url:
        raise Failure(f"invalid URL: {url}", f"Write http://{url} or https://{url}.", code=EXIT_USAGE)
    if "://" in url or "@" in url:
        raise Failure(f"invalid URL: {urls.hidden(url)}", "Write http://HOST:PORT or https://HOST.", code=EXIT_USAGE)
    root = session.state.root
    if root is None:
        raise Failure(f"invalid URL: {url}", "No server is in use yet: give its whole URL, http://HOST:PORT.")
    if "/" in url.rstrip("/") or url.startswith("/"):
        return urls.child(root, *filter(None, url.split("/"))).rstrip("/")
    return session.index_url(url)


def _cert(session: Session, named: str | None) -> str | None:
    if not named:
        return None
    session.terminal.warn("Use of client side certificates is deprecated.")
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise Failure(f"The client certificate at '{path}' doesn't exist.")
    return str(path)


def _remember(session: Session, place: Place, basic: tuple[str, str] | None, cert: str | None) -> None:
    """What the next commands use."""
    if basic is not None:
        session.terminal.warn(f"The password for {place.root} is stored unencrypted!")
        session.state.set_basic_auth(place.root, *basic)
    if cert is not None:
        session.state.set_client_cert(place.root, cert)
    index = place.index
    session.state.update(
        login=urls.join(place.root, str(place.result["login"])),
        index=index.url if index else None,
        simpleindex=index.simple if index else None,
        pypisubmit=index.submit if index else None,
        features=sorted(map(str, place.result.get("features") or ())),
    )


def _delete(session: Session) -> int:
    """Forget the server; configuration files become what they were."""
    code, restored = installers.give_back(session)
    if session.state.current_path.is_file() or not restored:
        session.terminal.info(f"REMOVED configuration at {session.state.forget()}")
    session.terminal.data({"restored": restored})
    return code


def _list(session: Session, place: Place | None, user: str | None) -> None:
    if place is None:
        raise Failure("not connected to any server", "Say which one: devpi use URL")
    found = session.api("GET", urls.child(place.root, user) if user else place.root).result or {}
    users = {user: found} if user else found
    data = {}
    for owner in sorted(users):
        for name, config in sorted((users[owner].get("indexes") or {}).items()):
            bases = keyvalues.shown(config.get("bases") or [])
            session.terminal.info(f"{owner + '/' + name:<15} bases={bases:<15} volatile={config.get('volatile')}")
            data[f"{owner}/{name}"] = config
    session.terminal.data(data)


def _snippet(session: Session, place: Place | None, tool: str) -> str:
    """Raises Failure."""
    if place is None or place.index is None:
        raise Failure("no index to show a configuration for", "Choose one: devpi use USER/NAME")
    index = place.index
    return snippets.snippet(
        tool,
        snippets.Index(
            index=index.url,
            simple=index.simple,
            submit=index.submit,
            user=session.state.user() if urls.same_server(index.root, session.state.root or index.root) else None,
            trusted=urls.is_plain(index.simple),
        ),
    )


def _show(session: Session, place: Place | None, options: Mapping[str, Any]) -> int:
    out = session.terminal
    user = _login(session, place, options["user"])
    _say_place(session, place, user, show_urls=options["show_urls"] or out.debugging)
    venv = _venv(session, options["venv"])
    if venv is not None:
        out.info(f"venv for install/set commands: {venv}")
    if options["always_set_cfg"] is not None:
        wanted = options["always_set_cfg"] == "yes"
        session.state.update(always_setcfg=wanted, settrusted=options["trusted"] == "yes")
    files = installers.found(session, venv)
    if venv is not None:
        out.line("only setting venv pip/uv config, no global configuration changed")
    always = bool(session.state.current.get("always_setcfg"))
    code = 0
    if options["set_cfg"] or always:
        if place is None or place.index is None:
            out.error("no index configured: cannot set pip/easy_install index")
            code = EXIT_FAILED
        else:
            code = installers.point_at(session, place.index, files, options["trusted"])
    config = installers.show(session, files)
    out.line(f"always-set-cfg: {'yes' if always else 'no'}")
    out.data(_as_data(session, place, user, venv, config, always=always))
    return code


def _login(session: Session, place: Place | None, wanted: str | None) -> str | None:
    """Who is logged in there, as far as the server agrees."""
    if place is None:
        return None
    if wanted is not None and wanted != session.state.current.get("username"):
        if session.state.user(wanted) is None:
            raise Failure(f"no login of {wanted!r} is stored for {place.root}", f"Log in: devpi login {wanted}")
        session.state.update(username=wanted)
    token = session.state.token(place.root)
    if token is None or session.has_login_ended(place.root):
        return None
    return token[0]


def _say_place(session: Session, place: Place | None, user: str | None, *, show_urls: bool) -> None:
    out = session.terminal
    who = f"logged in as {user}" if user else "not logged in"
    if place is None:
        out.line("no server: type 'devpi use URL' with a URL pointing to a server or directly to an index.")
        return
    if place.index is None:
        out.info(f"using server: {place.root} ({who})")
        out.line("no current index: type 'devpi use -l' to discover indices")
        return
    out.info(f"current devpi index: {place.index.url} ({who})")
    if show_urls:
        for name in _ENDPOINTS:
            found = place.result.get(name)
            out.info(f"{name:>19}: {urls.join(place.root, str(found)) if found else None}")
    if place.index.features:
        out.info(f"supported features: {', '.join(sorted(place.index.features))}")
    _check_access(session, place.index, user)


def _check_access(session: Session, index: Index, user: str | None) -> None:
    """Say now what the next command would run into."""
    reply = session.http.api("GET", urls.with_query(index.url, no_projects=""))
    if reply.ok:
        return
    session.terminal.error(reply.refusal().rpartition("\n")[2])
    if reply.status == 404:
        session.terminal.warn("Connected index does not exist.")
    elif reply.status not in (401, 403):
        raise Refused(reply.status, reply.refusal())
    elif user is None:
        session.terminal.note("You might have to login first to access this index.")
    else:
        session.terminal.warn("You don't have permission to access this index.")


def _venv(session: Session, named: str | None) -> Path | None:
    if named == venvs.NONE:
        session.state.update(venvdir=None)
        return None
    venv = venvs.chosen(named, session.state, session.environ, session.cwd)
    if named is not None:
        session.state.update(venvdir=str(venv))
    return venv


def _as_data(
    session: Session,
    place: Place | None,
    user: str | None,
    venv: Path | None,
    config: list[dict[str, Any]],
    *,
    always: bool,
) -> dict[str, Any]:
    index = place.index if place is not None else None
    return {
        "server": place.root if place is not None else None,
        "index": index.url if index else None,
        "user": user,
        "login": session.state.current.get("login"),
        "simpleindex": index.simple if index else None,
        "pypisubmit": index.submit if index else None,
        "features": sorted(index.features) if index else [],
        "venv": str(venv) if venv else None,
        "always_set_cfg": always,
        "config": config,
    }
