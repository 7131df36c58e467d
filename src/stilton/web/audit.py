"""`/+audit`: who changed what, when, from where. For those who run this server."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stilton.accounts.audit import AuditLog
from stilton.domain.audit import ACTIONS, Entry, Wanted
from stilton.domain.errors import Invalid
from stilton.domain.names import check_account_name
from stilton.web.answers import answer
from stilton.web.auth import Auth

MOST = 1000
"""Entries on a page."""
_MAX_ID = 1 << 62


class AuditAnswers:
    """One page of the log."""

    def __init__(self, auth: Auth, log: AuditLog) -> None:
        self._auth = auth
        self._log = log

    async def page(self, request: Request) -> Response:
        """Changes, the newest first; `?before=ID` for those before them."""
        actor = await self._auth.actor(request.scope)
        self._log.check(actor)
        found = await self._log.entries(actor, _wanted(request.query_params))
        return answer("list:audit", [_shown(entry) for entry in found])


def _shown(entry: Entry) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.at))
    return {**msgspec.structs.asdict(entry), "at": f"{at}.{int(entry.at % 1 * 1000):03d}Z"}


def _wanted(parameters: Mapping[str, str]) -> Wanted:
    """Raises Invalid."""
    unknown = sorted(set(parameters) - set(_READERS))
    if unknown:
        raise Invalid(f"the audit log takes {', '.join(_READERS)}; not {', '.join(unknown)[:100]}")
    wanted = Wanted(**{name: _READERS[name](name, text) for name, text in parameters.items()})
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise Invalid("since is not before until: nothing is between them")
    return wanted


def _actor(name: str, text: str) -> str:
    if text:
        check_account_name(name, text)
    return text


def _target(_: str, text: str) -> str:
    return text.removeprefix("/")


def _action(name: str, text: str) -> str:
    if text not in ACTIONS:
        raise Invalid(f"{name} is {text[:50]!r}: it takes one of {', '.join(ACTIONS)}")
    return text


def _number(most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= most:
            raise Invalid(f"{name} is {text[:50]!r}: it takes a number from 1 to {most}")
        return int(text)

    return read


def _time(name: str, text: str) -> float:
    """Unix seconds of a date or time as RFC 3339 has them; of one without zone as in UTC."""
    try:
        # A plus that was sent as it is was read as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Invalid(f"{name} is {text[:50]!r}: it takes a time like 2026-01-31 or 2026-01-31T12:00:00Z") from None


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "before": _number(_MAX_ID),
    "limit": _number(MOST),
    "actor": _actor,
    "target": _target,
    "action": _action,
    "since": _time,
    "until": _time,
}
