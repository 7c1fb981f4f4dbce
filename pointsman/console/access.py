"""Who may look and who may act: accounts, signed sessions and the token that guards changes against other sites. Pure.

An account is a name, a role and a random key of which we keep nothing but the setting. The session's signing key is
derived from the accounts, so that sessions outlive a restart and end when an account's key is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

from pointsman.settings import ConsoleAccount

SESSION_LASTS: Final = timedelta(hours=12)
UNLOCK_LASTS: Final = timedelta(minutes=15)
_SALT: Final = "pointsman.console.session"


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    """See everything, personal data masked."""
    OPERATOR = "operator"
    """Also decide, change and unmask; each of it is recorded."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who has logged in.

    Attributes:
        id: random; differs with every login.
        name: the account's name, which stands on everything that is done.
        role: what it may do.
        ends_at: when it must log in again, UTC.
        unlocked_until: personal data is shown in full before that time, UTC.
    """

    id: str
    name: str
    role: Role
    ends_at: datetime
    unlocked_until: datetime

    def is_operator(self) -> bool:
        """Whether it may change something."""
        return self.role is Role.OPERATOR

    def is_unlocked(self, now: datetime) -> bool:
        """Whether personal data may be shown in full."""
        return self.is_operator() and now < self.unlocked_until


class Access:
    """Makes and checks sessions.

    Args:
        accounts: who there is.
        now: the clock, UTC.
    """

    def __init__(self, accounts: Iterable[ConsoleAccount], now: Callable[[], datetime]) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._now = now
        known = sorted(account.key.get_secret_value() for account in self._accounts.values())
        keys = "\x1f".join(known) or secrets.token_urlsafe(32)
        self._secret = hashlib.sha256(f"{_SALT}\x1f{keys}".encode()).digest()
        self._signer = URLSafeSerializer(self._secret, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256})
        self.form_secret: Final = hmac.new(self._secret, b"form", hashlib.sha256).hexdigest()
        # Cookies know no ports: two stacks on one machine must not log each other out.
        self.cookie_name: Final = f"pointsman_{hashlib.sha256(self._secret).hexdigest()[:8]}"

    def login(self, key: str) -> Session | None:
        """A new session for whoever holds `key`; None when nobody does."""
        given = key.strip().encode(errors="replace")
        found = [
            account
            for account in self._accounts.values()
            if hmac.compare_digest(account.key.get_secret_value().encode(), given)
        ]
        if not found:
            return None
        now = self._now()
        return Session(
            id=secrets.token_urlsafe(16),
            name=found[0].name,
            role=Role(found[0].role),
            ends_at=now + SESSION_LASTS,
            unlocked_until=now,
        )

    def unlocked(self, session: Session) -> Session:
        """`session` with personal data shown in full for a while."""
        return replace(session, unlocked_until=self._now() + UNLOCK_LASTS)

    def locked(self, session: Session) -> Session:
        """`session` with personal data masked."""
        return replace(session, unlocked_until=self._now())

    def to_cookie(self, session: Session) -> str:
        """`session` as a signed text."""
        times = [int(session.ends_at.timestamp()), int(session.unlocked_until.timestamp())]
        return str(self._signer.dumps([session.id, session.name, *times]))

    def from_cookie(self, text: str) -> Session | None:
        """The session in `text`; None when it is forged or over, or its account is gone. The role is today's."""
        try:
            identity, name, ends, unlocked = self._signer.loads(text)
            session = Session(
                id=identity,
                name=name,
                role=Role(self._accounts[name].role),
                ends_at=_time(ends, self._now()),
                unlocked_until=_time(unlocked, self._now()),
            )
        except (BadData, KeyError, TypeError, ValueError):
            return None
        return session if self._now() < session.ends_at else None

    def csrf_token(self, session: Session) -> str:
        """What every change of `session` must carry: another site cannot read it."""
        return hmac.new(self._secret, f"csrf\x1f{session.id}".encode(), hashlib.sha256).hexdigest()

    def is_csrf_token(self, session: Session, given: str) -> bool:
        """Whether `given` is the token of `session`."""
        return hmac.compare_digest(self.csrf_token(session).encode(), given.encode(errors="replace"))


def _time(seconds: int, now: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, now.tzinfo)
