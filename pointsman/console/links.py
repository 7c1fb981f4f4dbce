"""The link that logs in the owner of a local stack: a signed token that is good for an hour, and no key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

LINK_LASTS: Final = timedelta(hours=1)
_SALT: Final = "pointsman.console.link"


class Links:
    """Makes and checks tokens.

    Args:
        secret: signs them: the session secret of the stack, which only its owner can read.
    """

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeSerializer(secret, salt=_SALT)

    def make(self, now: datetime) -> str:
        """A token that is good until an hour after `now`."""
        return str(self._signer.dumps(int((now + LINK_LASTS).timestamp())))

    def is_good(self, token: str, now: datetime) -> bool:
        """Whether `token` was made here and is not over."""
        try:
            return now.timestamp() < int(self._signer.loads(token))
        except (BadData, TypeError, ValueError):
            return False
