"""How often somebody may knock: a moving window per address."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from pointsman.console.problems import ProblemError

FORM_PER_MINUTE: Final = 5
LOGINS_PER_MINUTE: Final = 10


class Rates:
    """Counts knocks in this process's memory."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check_form(self, request: Request) -> None:
        """Count a lead form; ProblemError 429 beyond `FORM_PER_MINUTE`."""
        self._check(request, RateLimitItemPerMinute(FORM_PER_MINUTE, namespace="form"))

    def check_login(self, request: Request) -> None:
        """Count a login; ProblemError 429 beyond `LOGINS_PER_MINUTE`."""
        self._check(request, RateLimitItemPerMinute(LOGINS_PER_MINUTE, namespace="login"))

    def check_sso(self, request: Request) -> None:
        """Count a way to the provider; ProblemError 429 beyond `LOGINS_PER_MINUTE`. The way back counts as a login."""
        self._check(request, RateLimitItemPerMinute(LOGINS_PER_MINUTE, namespace="sso"))

    def _check(self, request: Request, item: RateLimitItem) -> None:
        who = network_of(request.client.host if request.client else "")
        if not self._limiter.hit(item, who):
            headers = {"Retry-After": "60"}
            raise ProblemError(429, "Wait a minute, then try again.", code="too_many", headers=headers)


def network_of(address: str) -> str:
    """What counts as one sender: an IPv4 address, or the /64 that one subscriber has in IPv6."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(known).partition("%")[0] if not isinstance(known, IPv6Address) else known.exploded[:19]
