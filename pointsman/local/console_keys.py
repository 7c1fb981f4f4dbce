"""Makes what the console of a local stack needs to know (`pointsman.console.keys`), once."""

from __future__ import annotations

import getpass
import json
import re
import secrets
from pathlib import Path
from typing import Final

from pointsman.console.keys import LocalKeys, keys_file, local_keys
from pointsman.local.security.files import write_secret

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9 ._-]")


def ensure_local_keys(data_dir: Path) -> LocalKeys:
    """The keys of the stack in `data_dir`, made when they are missing: one operator, one sender of leads.

    A file of an earlier release held a key in plain; it is written anew without.

    Raises:
        ConfigurationError: see `pointsman.console.keys.local_keys`.
    """
    known = local_keys(data_dir)
    if not known.has_link:
        senders = {name: key.get_secret_value() for name, key in known.leads_api_keys.items()}
        made = {
            "owner": _user(),
            "session_secret": secrets.token_urlsafe(32),
            "leads_api_keys": senders or {"local": secrets.token_urlsafe(24)},
        }
        write_secret(keys_file(data_dir), json.dumps(made, indent=2).encode())
    return local_keys(data_dir)


def _user() -> str:
    name = _NOT_IN_A_NAME.sub("", getpass.getuser())[:60].lstrip(" ._-")
    return name or "operator"
