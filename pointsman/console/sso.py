"""Single sign-on: the OpenID Connect authorization code flow with PKCE, state and nonce, by Authlib.

The library makes the request, exchanges the code and verifies the ID token. Decided here: who of those whom the
provider knows may come in, as what, and under which name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from pointsman.console.access import Role
from pointsman.console_account import AccountName
from pointsman.errors import ConfigurationError
from pointsman.settings import Settings

_log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 10.0
_CLOCKS_DIFFER_S: Final = 60
# What a provider signs with a key pair: never "none", and no secret that the client could sign with as well.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_OF_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME: Final[TypeAdapter[str]] = TypeAdapter(AccountName)


class Refusal(StrEnum):
    """Why somebody did not come in by single sign-on; the page says it in words."""

    PROVIDER = "provider"
    """The provider does not answer, or not as it should."""
    DENIED = "denied"
    """The provider did not let them in, or they gave up."""
    STATE = "state"
    """The answer belongs to no login that was begun in this browser."""
    TOKEN = "token"  # noqa: S105
    """The ID token is not what it should be: signature, issuer, audience, time or nonce."""
    ROLE = "role"
    """The provider names no role that is mapped."""
    NAME = "name"
    """The provider gives no name that may stand on records."""


_MEANS: Final = {"mismatching_state": Refusal.STATE, "access_denied": Refusal.DENIED, "login_required": Refusal.DENIED}
# Codes of RFC 6749 that tell whoever runs the console what to look at.
_SPEAKING: Final = frozenset(
    {"invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "unauthorized_client"}
)


class SsoError(Exception):
    """Somebody did not come in.

    Args:
        refusal: why.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True, kw_only=True)
class SsoOptions:
    """Which provider, and what its claims mean here.

    Attributes:
        issuer: the provider, as it calls itself.
        client_id: who we are for it.
        client_secret: our password there.
        scope: what is asked for; `openid` among it.
        role_claim: the claim that roles follow from; a dot leads into an object (`realm_access.roles`).
        operators: values of that claim that make an operator.
        viewers: values that make a viewer.
        name_claim: the claim that becomes the name on records.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    role_claim: str
    operators: frozenset[str]
    viewers: frozenset[str]
    name_claim: str

    @classmethod
    def of(cls, known: Settings) -> SsoOptions | None:
        """What the settings say; None where they name no provider.

        Raises:
            ConfigurationError: something is missing, or the provider would be asked without TLS.
        """
        if not known.console_oidc_issuer:
            return None
        secret = known.console_oidc_client_secret.get_secret_value() if known.console_oidc_client_secret else ""
        options = cls(
            issuer=known.console_oidc_issuer,
            client_id=known.console_oidc_client_id,
            client_secret=secret.strip(),
            scope=known.console_oidc_scope,
            role_claim=known.console_oidc_role_claim,
            operators=frozenset(known.console_oidc_operators),
            viewers=frozenset(known.console_oidc_viewers),
            name_claim=known.console_oidc_name_claim,
        )
        options._check()
        return options

    def _check(self) -> None:
        for value, name in (
            (self.client_id, "CLIENT_ID"),
            (self.client_secret, "CLIENT_SECRET"),
            (self.operators | self.viewers, "OPERATORS or POINTSMAN_CONSOLE_OIDC_VIEWERS"),
        ):
            if not value:
                raise ConfigurationError(
                    f"single sign-on needs POINTSMAN_CONSOLE_OIDC_{name}", "set it and start again"
                )
        if "openid" not in self.scope.split():
            raise ConfigurationError("POINTSMAN_CONSOLE_OIDC_SCOPE lacks openid", "write openid profile …")
        url = urlsplit(self.issuer)
        if url.scheme != "https" and url.hostname not in _OF_THIS_MACHINE:
            raise ConfigurationError("POINTSMAN_CONSOLE_OIDC_ISSUER begins with http:", "name it with https:")

    def fingerprint(self) -> str:
        """Changes when any of the options does: sessions that rest on it are over then."""
        parts = [self.issuer, self.client_id, self.client_secret, self.scope, self.role_claim, self.name_claim]
        text = json.dumps([*parts, sorted(self.operators), sorted(self.viewers)])
        return hashlib.sha256(text.encode()).hexdigest()

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest role that `claims` give; None when they give none."""
        found = _claim(claims, self.role_claim)
        values = {value for value in (found if isinstance(found, list) else [found]) if isinstance(value, str)}
        if values & self.operators:
            return Role.OPERATOR
        return Role.VIEWER if values & self.viewers else None

    def name_of(self, claims: Mapping[str, Any]) -> str | None:
        """The name that `claims` give; None when it is none that may stand on records, a mail address for one."""
        try:
            return _NAME.validate_python(_claim(claims, self.name_claim), strict=True)
        except ValidationError:
            return None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who has come in.

    Attributes:
        name: for records.
        role: what they may do.
        subject: the same for the same person at the same provider, and says nothing else.
    """

    name: str
    role: Role
    subject: str


class SingleSignOn:
    """The way by the provider and back.

    Args:
        options: which provider.
    """

    def __init__(self, options: SsoOptions) -> None:
        # The library and its HTTP client cost most of a second, and not every console has a provider.
        from authlib.integrations.starlette_client import OAuth

        self.options: Final = options
        self._client: Any = OAuth().register(
            "oidc",
            client_id=options.client_id,
            client_secret=options.client_secret,
            server_metadata_url=f"{options.issuer.rstrip('/')}/.well-known/openid-configuration",
            # The access token is used at once: one that lives for a minute is no expired one.
            client_kwargs={
                "scope": options.scope,
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_S,
                "leeway": 0,
            },
        )

    async def begin(self, request: Request, redirect_uri: str) -> Response:
        """Send the browser to the provider; what its answer must fit is in `request.session` afterwards.

        Raises:
            SsoError: the provider does not answer.
        """
        try:
            await self._metadata()
            sent: Response = await self._client.authorize_redirect(request, redirect_uri)
        except Exception as error:
            raise _refused(Refusal.PROVIDER, error) from None
        return sent

    async def finish(self, request: Request) -> Person:
        """Whom the provider has sent back.

        Raises:
            SsoError: nobody who may come in.
        """
        claims = await self._verified(request)
        role, name = self.options.role_of(claims), self.options.name_of(claims)
        if role is None:
            raise SsoError(Refusal.ROLE)
        if name is None:
            raise SsoError(Refusal.NAME)
        subject = hashlib.sha256(f"{self.options.issuer}\x1f{claims['sub']}".encode()).hexdigest()[:16]
        return Person(name=name, role=role, subject=subject)

    async def _verified(self, request: Request) -> dict[str, Any]:
        from authlib.integrations.starlette_client import OAuthError
        from joserfc.errors import JoseError

        must = {name: {"essential": True, "value": value} for name, value in self._expected().items()}
        try:
            await self._metadata()
            token = await self._client.authorize_access_token(request, claims_options=must, leeway=_CLOCKS_DIFFER_S)
            claims = token.get("userinfo")
            if not claims:
                raise SsoError(Refusal.TOKEN)
            return await self._completed(dict(claims), token)
        except SsoError:
            raise
        except OAuthError as error:
            raise _refused(_MEANS.get(error.error, Refusal.PROVIDER), error) from None
        except JoseError as error:
            raise _refused(Refusal.TOKEN, error) from None
        except Exception as error:
            # Whatever else the library meets in an answer of the provider: not there, no JSON, no such key.
            raise _refused(Refusal.PROVIDER, error) from None

    def _expected(self) -> dict[str, str]:
        return {"iss": self.options.issuer, "aud": self.options.client_id}

    async def _completed(self, claims: dict[str, Any], token: Any) -> dict[str, Any]:
        """`claims` with those that the provider tells only when asked (OpenID Connect Core, 5.4)."""
        wanted = (self.options.role_claim, self.options.name_claim)
        metadata = await self._metadata()
        if "userinfo_endpoint" not in metadata or all(_claim(claims, one) is not None for one in wanted):
            return claims
        more = dict(await self._client.userinfo(token=token))
        if more.get("sub") != claims["sub"]:
            raise SsoError(Refusal.TOKEN)
        return {**more, **claims}

    async def _metadata(self) -> dict[str, Any]:
        """What the provider says about itself, asked for once; only what it may say of itself.

        Raises:
            SsoError: it calls itself otherwise.
        """
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if metadata.get("issuer") != self.options.issuer:
            metadata.clear()
            raise SsoError(Refusal.PROVIDER)
        offered = metadata.get("id_token_signing_alg_values_supported") or []
        metadata["id_token_signing_alg_values_supported"] = [one for one in offered if one in _ALGORITHMS]
        return metadata


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim `name`: as it is written, since names may be addresses, or by its dots."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _refused(refusal: Refusal, error: Exception) -> SsoError:
    if isinstance(error, SsoError):
        return error
    code = getattr(error, "error", None)
    # Nothing else of it: a text may quote what was sent.
    reason = code if code in _SPEAKING else type(error).__name__
    _log.warning("single sign-on did not work", refusal=refusal.value, reason=reason)
    return SsoError(refusal)
