"""A small OpenID provider on a port of its own: discovery, authorization code with PKCE, ID tokens, user info.

It checks what a provider has to check (client, redirect, verifier, one use of a code), and answers wrongly when told.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.served import served

CLIENT_ID, CLIENT_SECRET = "pointsman-console", "c" * 32


@dataclass
class Provider:
    """What it says, and to whom.

    Attributes:
        url: its address and, unless told otherwise, its name.
        claims: what it says in ID tokens beside what must be there.
        user_info: what it says when asked.
        wrong: what it says instead of the truth in ID tokens.
        issuer: what it calls itself.
        algorithm: how ID tokens are signed.
        is_denying: it lets nobody in.
    """

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    user_info: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""
    algorithm: str = "ES256"
    is_denying: bool = False
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)}))
    signs_with: ECKey | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes next: as if somebody had logged in here at once."""
        self.asked.append(asked)
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert asked["code_challenge_method"] == "S256"
        if self.is_denying:
            return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, authorization: str, given: dict[str, str]) -> dict[str, Any] | None:
        """What the code is exchanged for; None when something does not fit."""
        name, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self._codes.pop(given.get("code", ""), None)
        if asked is None or (unquote(name), unquote(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return None
        if given.get("redirect_uri") != asked["redirect_uri"]:
            return None
        if create_s256_code_challenge(given.get("code_verifier", "")) != asked["code_challenge"]:
            return None
        return {"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": self._signed(asked)}

    def _signed(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": "1234", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": asked["nonce"],
            **self.claims, **self.wrong,
        }  # fmt: skip
        key = self.signs_with or self.key
        header = {"alg": self.algorithm, "kid": self.key.kid}
        if self.algorithm == "none":
            # No library makes one that nobody signed without complaint.
            parts = (json.dumps(part).encode() for part in (header, claims))
            return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])
        return jwt.encode(header, claims, key)


def _application(provider: Provider) -> FastAPI:
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    def metadata() -> dict[str, Any]:
        return provider.metadata()

    @app.get("/jwks")
    def jwks() -> Any:
        return KeySet([provider.key]).as_dict(private=False)

    @app.get("/authorize")
    def authorize(request: Request) -> Response:
        return RedirectResponse(provider.authorize(dict(request.query_params)), status_code=302)

    @app.post("/token")
    async def token(request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        found = provider.token(request.headers.get("authorization", ""), given)
        return JSONResponse(found or {"error": "invalid_grant"}, status_code=200 if found else 400)

    @app.get("/userinfo")
    def user_info(request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer access"
        return JSONResponse({"sub": "1234", **provider.user_info})

    return app


@contextmanager
def openid_provider() -> Iterator[Provider]:
    """A provider that runs as long as the context lasts."""
    provider = Provider()
    with served(_application(provider)) as provider.url:
        yield provider
