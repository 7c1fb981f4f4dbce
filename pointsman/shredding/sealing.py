"""One value sealed and opened: AES-SIV (RFC 5297), bound to its workflow and its type. Pure.

The same value of the same type in the same workflow is the same bytes again: the guard of the router counts what an
agent repeats by the bytes. Between workflows nothing can be compared, since each has a key of its own.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from pointsman.envelope import ENCRYPTION_HEADER, SEALED, Record
from pointsman.errors import ErrorReason, InvalidEnvelopeError

CIPHER: Final = b"aes-256-siv"
"""What the header `ce_encryption` says."""
KEY_BYTES: Final = 64
"""AES-256-SIV takes two keys of 256 bits: one for the tag, one for the text."""
_FORMAT: Final = b"pointsman/1"


class Key:
    """A key of AES-256-SIV, ready for use.

    Args:
        octets: 64 random bytes.
    """

    def __init__(self, octets: bytes) -> None:
        # Here: who has no key needs no cipher.
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self._cipher = AESSIV(octets)

    def encrypt(self, plain: bytes, bound_to: list[bytes]) -> bytes:
        """`plain` encrypted, and bound to other words that must be told again to decrypt it."""
        return self._cipher.encrypt(plain, bound_to)

    def decrypt(self, octets: bytes, bound_to: list[bytes]) -> bytes | None:
        """What `encrypt` was given; None when key, words or bytes are others."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(octets, bound_to)
        except (InvalidTag, ValueError):
            return None


def random_key() -> bytes:
    """The bytes of a new key."""
    return secrets.token_bytes(KEY_BYTES)


def is_sealed(value: bytes | None) -> bool:
    """Whether a record's value is sealed: its first byte says so, as no JSON text and no framed Avro begins with it."""
    return value is not None and value.startswith(SEALED)


def workflow_of(record: Record) -> bytes | None:
    """Whose key `record` is sealed with: its workflow's; of a lead that never became a message, its key's."""
    return record.headers.get("ce_workflowid") or record.key or None


def sealed(record: Record, key: Key) -> Record:
    """`record` with its value encrypted; as it is when it has none, or a sealed one."""
    workflow = workflow_of(record)
    if not record.value or workflow is None or is_sealed(record.value):
        return record
    value = SEALED + key.encrypt(record.value, _bound_to(record, workflow))
    return replace(record, value=value, headers={**record.headers, ENCRYPTION_HEADER: CIPHER})


def opened(record: Record, key: Key) -> bytes:
    """What the sealed value of `record` held.

    Raises:
        InvalidEnvelopeError: it was sealed with another key, for another workflow or type, or was changed.
    """
    octets = (record.value or b"")[len(SEALED) :]
    plain = key.decrypt(octets, _bound_to(record, workflow_of(record) or b""))
    if plain is None:
        detail = "the value was not encrypted for this workflow and type, or was changed"
        raise InvalidEnvelopeError(ErrorReason.INVALID_ENCRYPTION, detail)
    return plain


def _bound_to(record: Record, workflow: bytes) -> list[bytes]:
    return [_FORMAT, workflow, record.headers.get("ce_type", b"")]
