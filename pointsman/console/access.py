"""Who may look and who may act: accounts, signed sessions and the token that guards changes against other sites.

Sessions are signed with a secret of their own. Each also carries a print of what it was given for (the hash of an
account's key, the settings of single sign-on), so that it outlives a restart and ends when that is changed.
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

from pointsman.console.hashing import is_key
from pointsman.console.links import Links
from pointsman.console_account import ConsoleAccount

SESSION_LASTS: Final = timedelta(hours=12)
UNLOCK_LASTS: Final = timedelta(minutes=15)
_SALT: Final = "pointsman.console.session"


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    """See everything, personal data masked."""
    OPERATOR = "operator"
    """Also decide, change and unmask; each of it is recorded."""


class Way(StrEnum):
    """How somebody logged in."""

    KEY = "key"
    """With the key of a local account."""
    LINK = "link"
    """With the link of a local stack."""
    SSO = "sso"
    """At an OpenID provider."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who has logged in.

    Attributes:
        id: random; differs with every login.
        name: stands on everything that is done.
        way: how they logged in.
        role: what it may do.
        ends_at: when it must log in again, UTC.
        unlocked_until: personal data is shown in full before that time, UTC.
    """

    id: str
    name: str
    way: Way
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
        accounts: who may log in with a key.
        now: the clock, UTC.
        secret: signs sessions; every process that serves the console needs the same. Random when left out.
        owner: the name of whom the link of a local stack logs in; None: no link does.
        sso: print of the settings of single sign-on; None: there is none.
    """

    def __init__(
        self,
        accounts: Iterable[ConsoleAccount],
        now: Callable[[], datetime],
        *,
        secret: str | None = None,
        owner: str | None = None,
        sso: str | None = None,
    ) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._now = now
        self._owner = owner
        self._sso = sso
        known = secret or secrets.token_urlsafe(32)
        self._links = Links(known)
        self._secret = hashlib.sha256(f"{_SALT}\x1f{known}".encode()).digest()
        self._signer = URLSafeSerializer(self._secret, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256})
        self.form_secret: Final = self._derived("form")
        self.state_secret: Final = self._derived("state")
        # Cookies know no ports: two stacks on one machine must not log each other out.
        self.cookie_name: Final = f"pointsman_{hashlib.sha256(self._secret).hexdigest()[:8]}"

    @property
    def takes_keys(self) -> bool:
        """Whether anybody can log in with a key."""
        return bool(self._accounts)

    @property
    def takes_links(self) -> bool:
        """Whether the link of a local stack logs its owner in."""
        return self._owner is not None

    def knows(self, name: str) -> bool:
        """Whether `name` is that of an account or of the owner."""
        return name in self._accounts or name == self._owner

    def login(self, name: str, key: str) -> Session | None:
        """A new session for the account `name` when `key` is its key, else None. Slow on purpose: it hashes."""
        account = self._accounts.get(name)
        # A name that nobody has takes as long to refuse as one that somebody has.
        measured = account or next(iter(self._accounts.values()), None)
        if measured is None or not is_key(measured.key_hash, key.strip()) or account is None:
            return None
        return self._begun(account.name, Way.KEY, Role(account.role))

    def by_link(self, token: str) -> Session | None:
        """A new session for the owner of the local stack when `token` is good, else None."""
        if self._owner is None or not self._links.is_good(token, self._now()):
            return None
        return self._begun(self._owner, Way.LINK, Role.OPERATOR)

    def by_sso(self, name: str, role: Role) -> Session:
        """A new session for somebody whom the OpenID provider knows."""
        return self._begun(name, Way.SSO, role)

    def unlocked(self, session: Session) -> Session:
        """`session` with personal data shown in full for a while."""
        return replace(session, unlocked_until=self._now() + UNLOCK_LASTS)

    def locked(self, session: Session) -> Session:
        """`session` with personal data masked."""
        return replace(session, unlocked_until=self._now())

    def to_cookie(self, session: Session) -> str:
        """`session` as a signed text."""
        times = [int(session.ends_at.timestamp()), int(session.unlocked_until.timestamp())]
        imprint = self._print_of(session.way, session.name)
        return str(self._signer.dumps([session.id, session.name, session.way, session.role, imprint, *times]))

    def from_cookie(self, text: str) -> Session | None:
        """The session in `text`; None when it is forged or over, or what it was given for is gone or changed."""
        try:
            identity, name, way, role, imprint, ends, unlocked = self._signer.loads(text)
            session = Session(
                id=identity,
                name=name,
                way=Way(way),
                role=self._role_today(Way(way), name, Role(role)),
                ends_at=_time(ends, self._now()),
                unlocked_until=_time(unlocked, self._now()),
            )
            is_current = hmac.compare_digest(str(imprint), self._print_of(session.way, name))
        except (BadData, KeyError, TypeError, ValueError):
            return None
        return session if is_current and self._now() < session.ends_at else None

    def csrf_token(self, session: Session) -> str:
        """What every change of `session` must carry: another site cannot read it."""
        return self._derived(f"csrf\x1f{session.id}")

    def is_csrf_token(self, session: Session, given: str) -> bool:
        """Whether `given` is the token of `session`."""
        return hmac.compare_digest(self.csrf_token(session).encode(), given.encode(errors="replace"))

    def _begun(self, name: str, way: Way, role: Role) -> Session:
        now = self._now()
        return Session(
            id=secrets.token_urlsafe(16), name=name, way=way, role=role, ends_at=now + SESSION_LASTS, unlocked_until=now
        )

    def _role_today(self, way: Way, name: str, at_login: Role) -> Role:
        """An account's role is looked up; what the provider said holds until the session is over."""
        return Role(self._accounts[name].role) if way is Way.KEY else at_login

    def _print_of(self, way: Way, name: str) -> str:
        """Changes when what a session was given for does; KeyError when it is gone."""
        if way is Way.KEY:
            basis: str | None = self._accounts[name].key_hash
        else:
            basis = self._sso if way is Way.SSO else self._owner
        if basis is None or (way is Way.LINK and basis != name):
            raise KeyError(way)
        return self._derived(f"print\x1f{way}\x1f{basis}")[:16]

    def _derived(self, purpose: str) -> str:
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()


def _time(seconds: int, now: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, now.tzinfo)
