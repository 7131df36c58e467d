"""`devpi user` and `devpi passwd`."""

from typing import Any

import click

from stilton_client import keyvalues, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_USAGE, Failure
from stilton_client.session import Session

WEAK = 8
TRIES = 3
_HIDDEN = {"password", "pwhash"}
# Parts of a user that are not configuration.
_NOT_SHOWN = {"indexes", "username"}


@command(
    "user",
    example="""devpi user -c alice email=alice@example.com
               devpi user -m alice title='Alice of the team'
               devpi user -l""",
    json=True,
)
@click.argument("username", required=False)
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-c", "--create", is_flag=True, help="create a user")
@click.option("--delete", is_flag=True, help="delete a user and all its volatile indexes")
@click.option("-m", "--modify", is_flag=True, help="change a user's settings")
@click.option("-l", "--list", "listing", is_flag=True, help="list the names of all users")
def user_(session: Session, username: str | None, words: tuple[str, ...], **action: bool) -> None:
    """Create, change, list and delete users; without an option, show one.

    Keys: email, title, description, custom_data, password (asked for if you leave it out) and pwhash.
    """
    if sum(action.values()) > 1:
        raise Failure("one of --create, --delete, --modify and --list at a time", code=EXIT_USAGE)
    if username is not None and "=" in username:
        words = (username, *words)
        username = None
    if (action["create"] or action["delete"]) and username is None:
        raise Failure("need to specify a username", code=EXIT_USAGE)
    if action["listing"]:
        _list(session)
    elif action["create"] and username is not None:
        _create(session, username, keyvalues.pairs(words))
    elif action["delete"] and username is not None:
        _delete(session, username)
    elif words or action["modify"]:
        _modify(session, _named_or_me(session, username), keyvalues.pairs(words))
    else:
        _show(session, _named_or_me(session, username))


@command("passwd", example="devpi passwd\ndevpi passwd alice")
@click.argument("username", required=False)
def passwd_(session: Session, username: str | None) -> None:
    """Change a password, your own if no user is named. It is asked for twice.

    All logins of the user end; your own is renewed.
    """
    user = _named_or_me(session, username)
    _modify(session, user, {"password": _new_password(session, user)})


def _named_or_me(session: Session, username: str | None) -> str:
    user = username or session.user
    if not user:
        raise Failure("no user specified and no user currently active", "Name one, or log in: devpi login USER")
    return user


def _url(session: Session, user: str) -> str:
    if "/" in user:
        raise Failure(f"user name {user!r} contains a slash", "Indexes are shown by `devpi index`.")
    return urls.child(session.root, user)


def _list(session: Session) -> None:
    users = session.api("GET", session.root).result or {}
    for name in sorted(users):
        session.terminal.line(name)
    session.terminal.data(sorted(users))


def _create(session: Session, user: str, values: dict[str, str]) -> None:
    if not _HIDDEN & values.keys():
        values["password"] = _new_password(session, user)
    session.api("PUT", _url(session, user), values)
    session.terminal.info(f"user created: {user}")
    session.terminal.data({"created": user})


def _modify(session: Session, user: str, values: dict[str, str]) -> None:
    out = session.terminal
    url = _url(session, user)
    for name in sorted(values):
        shown = "********" if name in _HIDDEN else values[name]
        out.info(f"/{user} changing {name}: {shown}")
    reply = session.api("PATCH", url, values)
    if reply.type == "userpassword" and user == session.user:
        # The old token died with the old password; this is the new one.
        session.state.log_in(session.root, user, str(reply.result["password"]))
    out.info(f"user modified: {user}")
    out.data({"modified": user, "keys": sorted(values)})


def _delete(session: Session, user: str) -> None:
    out = session.terminal
    url = _url(session, user)
    out.info(f"About to remove: {url}")
    _show_indexes(session, session.api("GET", url, type="userconfig").result)
    if not out.confirm("Are you sure"):
        raise Failure("not deleting anything")
    session.api("DELETE", url)
    if user == session.user:
        session.state.log_off(session.root, user)
    out.info(f"user deleted: {user}")
    out.data({"deleted": user})


def _show_indexes(session: Session, config: dict[str, Any]) -> None:
    """What goes along with a user."""
    name = config.get("username")
    for index in sorted(config.get("indexes") or ()):
        session.terminal.note(f"  with the index {name}/{index}")


def _show(session: Session, user: str) -> None:
    out = session.terminal
    url = _url(session, user)
    config = session.api("GET", url, type="userconfig").result
    out.info(f"{url}:")
    for name in sorted(config.keys() - _NOT_SHOWN):
        out.line(f"  {name}={keyvalues.shown(config[name])}")
    out.data(config)


def _new_password(session: Session, user: str) -> str:
    """Asked for twice, at most three times. Raises Failure."""
    out = session.terminal
    for _ in range(TRIES):
        question = f"new password for user {user}:"
        first, second = out.ask_secret(question), out.ask_secret(f"repeat {question}")
        if first != second:
            out.error("passwords did not match")
        elif _is_meant(session, first):
            return first
    raise Failure("no password was set", "Run it again.")


def _is_meant(session: Session, password: str) -> bool:
    if not password:
        return session.terminal.confirm("empty password, are you sure to use it?")
    if len(password) < WEAK:
        return session.terminal.confirm(f"password with less than {WEAK} characters, are you sure to use it?")
    return True
