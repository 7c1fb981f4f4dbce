"""DKIM signatures (RFC 6376): the only module that imports dkimpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import dkim
from pydantic import SecretStr

from pointsman.errors import ConfigurationError

# What says who sends what to whom, and both headers of one-click unsubscription (RFC 8058 wants them signed).
_SIGNED: Final = (
    b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"content-transfer-encoding",
    b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DkimSigner:
    """Signs mails for one domain.

    Attributes:
        domain: signing domain, the sender's.
        selector: where below `_domainkey` the public key stands in the name service.
        key: private RSA key, PEM.
    """

    domain: str
    selector: str
    key: SecretStr

    def __post_init__(self) -> None:
        """Try the key.

        Raises:
            ConfigurationError: the key is no RSA key in PEM, or too short.
        """
        self.sign(b"From: a@b.example\r\n\r\n")

    def sign(self, content: bytes) -> bytes:
        """`content`, a mail as it goes over the wire, with the signature's header before it.

        Raises:
            ConfigurationError: the key is no RSA key in PEM, or too short.
        """
        try:
            signature: bytes = dkim.sign(
                content,
                selector=self.selector.encode("ascii"),
                domain=self.domain.encode("ascii"),
                privkey=self.key.get_secret_value().encode("ascii"),
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=list(_SIGNED),
            )
        except (dkim.DKIMException, ValueError, UnicodeEncodeError):
            # The library's text may quote the key.
            raise ConfigurationError(
                "POINTSMAN_MAIL_DKIM_KEY is no usable key",
                "give an RSA key of 2048 bits in PEM: openssl genrsa -traditional 2048",
            ) from None
        return signature + content
