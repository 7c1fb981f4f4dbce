"""The keys of a local stack: made once, readable by their owner only, so that nobody has to set anything up."""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from pointsman.errors import ConfigurationError
from pointsman.settings import AccessKey, ConsoleAccount

_FILE: Final = "console-keys.json"
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9 ._-]")


class LocalKeys(BaseModel):
    """Who may use the console of a local stack beside those that the settings name.

    Attributes:
        accounts: who may log in.
        leads_api_keys: who may post leads.
    """

    accounts: list[ConsoleAccount] = Field(default=[])
    leads_api_keys: dict[str, AccessKey] = Field(default={})


def local_keys(data_dir: Path) -> LocalKeys:
    """The keys of the stack in `data_dir`; none when nobody made any.

    Raises:
        ConfigurationError: the file holds something else.
    """
    file = data_dir / _FILE
    try:
        return LocalKeys.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return LocalKeys()
    except (OSError, ValidationError):
        raise ConfigurationError(f"{file} is not readable", "remove it; `pointsman up` makes it anew") from None


def ensure_local_keys(data_dir: Path) -> LocalKeys:
    """The keys of the stack in `data_dir`, made when they are missing: one operator, one sender of leads.

    Raises:
        ConfigurationError: see `local_keys`.
    """
    file = data_dir / _FILE
    if not file.exists():
        made = {
            "accounts": [{"name": _user(), "role": "operator", "key": secrets.token_urlsafe(24)}],
            "leads_api_keys": {"local": secrets.token_urlsafe(24)},
        }
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump(made, opened, indent=2)
    return local_keys(data_dir)


def login_link(console_url: str, keys: LocalKeys) -> str:
    """The address that logs an operator in. The key stands behind the #, which no browser sends to any server."""
    account = next((one for one in keys.accounts if one.role == "operator"), None)
    return f"{console_url}/login#{account.key.get_secret_value()}" if account else console_url


def _user() -> str:
    name = _NOT_IN_A_NAME.sub("", getpass.getuser())[:60].lstrip(" ._-")
    return name or "operator"
