"""A local account of the console, as the settings hold it: never with its key, only with the hash of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

_HASH: Final = re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_INSTEAD: Final = "`pointsman console account add NAME --role ROLE` makes an account with a new key and its hash"

AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
"""What may stand as somebody's name on a record: no mail address fits."""


class ConsoleAccount(BaseModel):
    """Somebody who may log in to the console with a key.

    Attributes:
        name: stands on everything that they do.
        role: `viewer` sees, `operator` also decides and changes.
        key_hash: Argon2id of their key, in PHC string format.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: AccountName
    role: Literal["viewer", "operator"]
    key_hash: str

    @model_validator(mode="before")
    @classmethod
    def _holds_a_hash(cls, given: Any) -> Any:
        if isinstance(given, dict) and "key" in given:
            raise PydanticCustomError("plain_key", f"an account holds its key in plain; {_INSTEAD}")
        if isinstance(given, dict) and not _HASH.fullmatch(str(given.get("key_hash"))):
            raise PydanticCustomError("no_hash", f"an account's key_hash is no Argon2id hash; {_INSTEAD}")
        return given
