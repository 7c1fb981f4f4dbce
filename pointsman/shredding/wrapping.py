"""The settings' keys: data keys lie in the document store only encrypted with one of them."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as MalformedBase64
from dataclasses import dataclass
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.shredding.sealing import KEY_BYTES, Key, random_key

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_REMEDY: Final = (
    "write POINTSMAN_ENCRYPTION_KEYS as ID:KEY, several separated by commas; `pointsman keys new` makes one"
)


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """A data key as the store keeps it.

    Attributes:
        by: id of the key that it is wrapped with.
        text: the wrapped key, base64.
    """

    by: str
    text: str


class KeyRing:
    """Key-encryption keys by id: the first wraps, every one unwraps.

    Args:
        text: `ID:KEY`, several separated by commas or white space; a key is 64 bytes in base64.

    Raises:
        ConfigurationError: it holds something else; the text never quotes it.
    """

    def __init__(self, text: str) -> None:
        self._keys: dict[str, Key] = {}
        for part in re.split(r"[,\s]+", text.strip()):
            name, _, encoded = part.partition(":")
            if not _ID.fullmatch(name) or name in self._keys:
                raise ConfigurationError("setting POINTSMAN_ENCRYPTION_KEYS: an id is missing, odd or twice", _REMEDY)
            self._keys[name] = _key(encoded)
        self.first = next(iter(self._keys))

    def wrap(self, octets: bytes, name: str) -> Wrapped:
        """A data key under the first key, bound to the `name` that it is kept under."""
        return Wrapped(by=self.first, text=b64encode(self._keys[self.first].encrypt(octets, [name.encode()])).decode())

    def unwrap(self, wrapped: Wrapped, name: str) -> bytes:
        """The data key.

        Raises:
            ConfigurationError: it was wrapped with a key that is not in the settings.
        """
        key = self._keys.get(wrapped.by)
        octets = key and key.decrypt(b64decode(wrapped.text), [name.encode()])
        if not octets:
            what = (
                f"a data key is wrapped with the key {wrapped.by[:40]!r}, which POINTSMAN_ENCRYPTION_KEYS does not hold"
            )
            raise ConfigurationError(what, "add that key again, behind the first")
        return octets


def new_key(name: str) -> str:
    """A new key as the setting wants it."""
    return f"{name}:{b64encode(random_key()).decode()}"


def _key(encoded: str) -> Key:
    try:
        octets = b64decode(encoded, validate=True)
    except (MalformedBase64, ValueError):
        octets = b""
    if len(octets) != KEY_BYTES:
        # Not even the id: who leaves it out has the key in its place.
        what = f"setting POINTSMAN_ENCRYPTION_KEYS: a key is not {KEY_BYTES} bytes in base64, or has no id"
        raise ConfigurationError(what, _REMEDY)
    return Key(octets)
