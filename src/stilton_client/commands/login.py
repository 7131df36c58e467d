"""`devpi login`, `logoff`, `logout`."""

import click

from stilton_client import keyrings
from stilton_client.command import command
from stilton_client.errors import Failure, Refused
from stilton_client.session import Session

HOUR_S = 3600


@command(
    "login",
    example="""devpi login alice
               devpi login root --password ''
               printenv CI_PASSWORD | devpi login ci --password-stdin""",
    json=True,
)
@click.argument("username", required=False)
@click.option("--password", help="the password; asked for when it is not given")
@click.option("--password-stdin", is_flag=True, help="read the password from standard input")
def login_(session: Session, username: str | None, password: str | None, *, password_stdin: bool) -> None:
    """Log in at the current server. The login lasts ten hours; `devpi use` shows it.

    Without --password, the password comes from the keyring if the package `keyring` is installed and knows it,
    otherwise it is asked for.
    """
    out = session.terminal
    root = session.root
    user = username if username is not None else out.ask("user: ")
    if password_stdin:
        password = out.ask_line()
    elif password is None:
        password = keyrings.password(root, user, out.warn)
    if password is None:
        password = out.ask_secret(f"password for user {user} at {root}: ")
    reply = session.http.api("POST", session.state.login_url, {"user": user, "password": password})
    if not reply.ok:
        wrong = f"The name or the password is not right. Names: devpi user -l (at {root})."
        raise Refused(reply.status, reply.refusal(), wrong if reply.status == 401 else "The server's log says more.")
    if not isinstance(reply.result, dict) or not isinstance(reply.result.get("password"), str):
        raise Failure(f"{root} answered the login with something that is not understood")
    session.state.log_in(root, user, reply.result["password"])
    valid_s = float(reply.result.get("expiration") or 0)
    index = session.state.current.get("index")
    place = f" at {index!r}" if index else ""
    out.info(f"logged in {user!r}{place}, credentials valid for {valid_s / HOUR_S:.2f} hours")
    out.data({"user": user, "server": root, "index": index, "expires_in_s": valid_s})


def _logoff(session: Session) -> None:
    out = session.terminal
    user = session.user
    if user is None:
        out.note("not logged in")
        return
    session.state.log_off(session.root, user)
    out.info("login information deleted")


@command("logoff", example="devpi logoff")
def logoff_(session: Session) -> None:
    """Forget the login at the current server. The server's other logins stay as they are."""
    _logoff(session)


@command("logout", example="devpi logout")
def logout_(session: Session) -> None:
    """Forget the login at the current server, as logoff does."""
    _logoff(session)
