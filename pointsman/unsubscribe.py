"""Links by which a person ends all mail, without a login: signed, for one lead, without an end of validity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

_SALT: Final = "pointsman.unsubscribe"


@dataclass(frozen=True, kw_only=True)
class UnsubscribeLinks:
    """Makes and reads the links.

    Attributes:
        base_url: address of the page that takes them, without a slash at the end.
        secret: key of the signature.
    """

    base_url: str
    secret: SecretStr

    def link(self, lead_id: str) -> str:
        """The link for a lead; it names neither address nor person."""
        return f"{self.base_url.rstrip('/')}/{self._serializer().dumps(lead_id)}"

    def lead_of(self, token: str) -> str | None:
        """The lead that `token`, the last part of a link, was made for; None when it is forged or damaged."""
        try:
            lead_id = self._serializer().loads(token)
        except BadData:
            return None
        return lead_id if isinstance(lead_id, str) else None

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret.get_secret_value(), salt=_SALT)
