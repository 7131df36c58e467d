"""What is open to those who are not logged in where `--require-login` closes everything else."""

import re

from stilton.domain.errors import Denied
from stilton.domain.permission import Policy
from stilton.web.auth import Auth
from stilton.web.http import Scope

# To log in, to find out where, and to see whether the server lives.
_OPEN = re.compile(r"/\+login|/\+authcheck|/\+health(/ready|/live)?|/robots\.txt|(/[^/+][^/]*){0,2}/\+api")


class Wall:
    """The first question about every request."""

    def __init__(self, policy: Policy, auth: Auth) -> None:
        self._policy = policy
        self._auth = auth

    async def check(self, scope: Scope, path: str) -> None:
        """`path`: what is asked for, decoded. Raises Denied, TooManyTries, Busy."""
        if self._policy.closed and _OPEN.fullmatch(path) is None and await self.keeps_out(scope):
            raise Denied("this server answers only those who log in", login=True)

    async def keeps_out(self, scope: Scope) -> bool:
        """Whether this request's sender is nobody here. Raises TooManyTries, Busy."""
        return self._policy.closed and not self._policy.lets_in(await self._auth.actor(scope))
