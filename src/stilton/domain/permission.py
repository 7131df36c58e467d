"""Who may do what: the one table of rights (protocol reference 3.2).

An actor has principals: `:ANONYMOUS:` (everybody), `:AUTHENTICATED:`, the user's name,
`:GROUP` for each group. A right is held by principals. Denied unless the table says so.
"""

import enum
from collections.abc import Iterable

import msgspec

from stilton.domain.indexes import Index

ROOT = "root"
ANONYMOUS = ":ANONYMOUS:"
AUTHENTICATED = ":AUTHENTICATED:"


class Actor(msgspec.Struct, frozen=True):
    """Who asks. `name` None: nobody logged in."""

    name: str | None = None
    groups: frozenset[str] = frozenset()

    @property
    def principals(self) -> frozenset[str]:
        """Everything this actor counts as."""
        if self.name is None:
            return frozenset({ANONYMOUS})
        return frozenset({ANONYMOUS, AUTHENTICATED, self.name, *(f":{group}" for group in self.groups)})


ANYBODY = Actor()


class Right(enum.Enum):
    """What can be asked for. Those of users are held over a user, the others over an index."""

    CREATE_USER = "create a user"
    MODIFY_USER = "modify a user"
    CHANGE_PASSWORD = "change a password"  # noqa: S105 - a sentence
    DELETE_USER = "delete a user"
    CREATE_INDEX = "create an index"
    MODIFY_INDEX = "modify an index"
    DELETE_INDEX = "delete an index"
    READ = "read packages"
    UPLOAD = "upload"
    UPLOAD_TOXRESULT = "upload tox results"
    DELETE = "remove, yank and set the status of packages"


OVER_USERS = frozenset({Right.CREATE_USER, Right.MODIFY_USER, Right.CHANGE_PASSWORD, Right.DELETE_USER})
# An index that does not exist yet has only its owner.
OVER_OWNERS = OVER_USERS | {Right.CREATE_INDEX}


class Policy(msgspec.Struct, frozen=True):
    """`restricted`: who alone may change users and indexes (`--restrict-modify`); None: everybody his own.

    `closed`: who is not logged in may do nothing at all (`--require-login`).
    """

    restricted: frozenset[str] | None = None
    closed: bool = False

    def may_user(self, actor: Actor, right: Right, owner: str) -> bool:
        """Whether `actor` has a right over user `owner`, or over the indexes that `owner` will have."""
        return self.lets_in(actor) and self._may_user(actor, right, owner)

    def may(self, actor: Actor, right: Right, index: Index) -> bool:
        """Whether `actor` has a right over `index`."""
        return self.lets_in(actor) and self._may(actor, right, index)

    def lets_in(self, actor: Actor) -> bool:
        """Whether `actor` may ask for anything at all."""
        return not self.closed or actor.name is not None

    def is_public(self, index: Index) -> bool:
        """Whether everybody may read `index`."""
        return not self.closed and ANONYMOUS in index.readers

    def is_admin(self, user: str) -> bool:
        """Whether a user is one of those who run this server."""
        return self._is_admin(Actor(user))

    def _may_user(self, actor: Actor, right: Right, owner: str) -> bool:
        is_self = actor.name == owner
        listed = self._is_admin(actor)
        match right:
            case Right.CREATE_USER:
                return self.restricted is None or listed
            case Right.CHANGE_PASSWORD:
                return listed or is_self
            case Right.DELETE_USER:
                return owner != ROOT and (listed and not is_self if self.restricted is not None else listed or is_self)
            case Right.MODIFY_USER | Right.CREATE_INDEX:
                return listed or (is_self and self.restricted is None)
            case _:
                return False

    def _may(self, actor: Actor, right: Right, index: Index) -> bool:
        is_owner = actor.name == index.user
        listed = self._is_admin(actor)
        match right:
            case Right.MODIFY_INDEX | Right.DELETE_INDEX:
                return listed or (is_owner and self.restricted is None)
            case Right.READ:
                return listed or is_owner or _holds(actor, index.readers)
            case Right.UPLOAD:
                return _holds(actor, index.uploaders)
            case Right.UPLOAD_TOXRESULT:
                return self.may(actor, Right.READ, index) and _holds(actor, index.testers)
            case Right.DELETE:
                return listed or _holds(actor, index.uploaders) or (is_owner and self.restricted is None)
            case _:
                return self.may_user(actor, right, index.user)

    def _is_admin(self, actor: Actor) -> bool:
        if self.restricted is None:
            return actor.name == ROOT
        return bool(actor.principals & self.restricted)


def principal(text: str) -> str:
    """A principal as it is stored: special ones in upper case, whatever case was given."""
    text = text.strip()
    upper = text.upper()
    return upper if upper in (ANONYMOUS, AUTHENTICATED) else text


def policy(restrict_modify: Iterable[str], *, require_login: bool = False) -> Policy:
    """From `--restrict-modify`: names and `:groups`; nothing given means no restriction. And `--require-login`."""
    listed = frozenset(principal(text) for text in restrict_modify if text.strip())
    return Policy(listed or None, closed=require_login)


def _holds(actor: Actor, holders: frozenset[str]) -> bool:
    return bool(actor.principals & holders)
