"""Links by which a person ends all mail, without a login: signed, for one person, without an end of validity."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from pointsman.settings import Settings
from pointsman.store import DocumentStore

PATH: Final = "/u"
"""Of the page that takes the links."""
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

    def link(self, key: str) -> str:
        """The link for the person called `key` on the suppression list; it names neither address nor lead."""
        return f"{self.base_url.rstrip('/')}/{self._serializer().dumps(key)}"

    def key_of(self, token: str) -> str | None:
        """The person that `token`, the last part of a link, was made for; None when it is forged or damaged."""
        try:
            key = self._serializer().loads(token)
        except BadData:
            return None
        return key if isinstance(key, str) else None

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret.get_secret_value(), salt=_SALT)


async def unsubscribe_links(store: DocumentStore, settings: Settings) -> UnsubscribeLinks:
    """This installation's links; their key is as set, or made once for all processes, so that old ones stay good."""
    secret = settings.mail_unsubscribe_secret
    if not secret:
        fresh = {"_id": "unsubscribe", "secret": secrets.token_urlsafe(32)}
        secret = SecretStr(str((await store.insert_once("keys", fresh))["secret"]))
    return UnsubscribeLinks(base_url=settings.mail_unsubscribe_base_url, secret=secret)
