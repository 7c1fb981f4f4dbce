"""Keys of local accounts: random, handed over once, and kept as Argon2id hashes only."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pointsman.console_account import ConsoleAccount

_HASHER: Final = PasswordHasher()


def new_key() -> str:
    """A random key: 192 bits."""
    return secrets.token_urlsafe(24)


def hashed(key: str) -> str:
    """The Argon2id hash of `key` with the library's parameters: 64 MiB and some hundredths of a second."""
    return _HASHER.hash(key)


def is_key(key_hash: str, key: str) -> bool:
    """Whether `key_hash` was made from `key`. Takes the time and the memory that the hash says."""
    try:
        return _HASHER.verify(key_hash, key.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False


def outdated(accounts: Iterable[ConsoleAccount]) -> list[ConsoleAccount]:
    """Those whose hash was made with other parameters than today's."""
    return [account for account in accounts if _HASHER.check_needs_rehash(account.key_hash)]
