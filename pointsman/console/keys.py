"""What the console of a local stack needs to know, so that nobody has to set anything up; readable by its owner only.

No access key lies there: the link that `pointsman up` prints holds a token, signed with the session secret and good for
an hour. Whoever can read the file can make such links, which is why nobody but the owner of the stack can read it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from pointsman.console.links import Links
from pointsman.console_account import AccountName
from pointsman.errors import ConfigurationError
from pointsman.settings import AccessKey

_FILE: Final = "console-keys.json"


class LocalKeys(BaseModel):
    """Who may use the console of a local stack beside those that the settings name.

    Attributes:
        owner: the name of whom the link logs in as an operator; None where there is no link.
        session_secret: signs sessions and links.
        leads_api_keys: who may post leads.
    """

    owner: AccountName | None = None
    session_secret: AccessKey | None = None
    leads_api_keys: dict[str, AccessKey] = Field(default={})

    @property
    def has_link(self) -> bool:
        """Whether a link can log somebody in."""
        return self.owner is not None and self.session_secret is not None


def keys_file(data_dir: Path) -> Path:
    """Where the keys of the stack in `data_dir` lie."""
    return data_dir / _FILE


def local_keys(data_dir: Path) -> LocalKeys:
    """The keys of the stack in `data_dir`; none when nobody made any.

    Raises:
        ConfigurationError: the file holds something else.
    """
    file = keys_file(data_dir)
    try:
        return LocalKeys.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return LocalKeys()
    except (OSError, ValidationError):
        raise ConfigurationError(f"{file} is not readable", "remove it; `pointsman up` makes it anew") from None


def login_link(console_url: str, keys: LocalKeys, now: datetime) -> str:
    """The address that logs an operator in. The token stands behind the #, which no browser sends to any server."""
    if keys.session_secret is None or keys.owner is None:
        return console_url
    return f"{console_url}/login#{Links(keys.session_secret.get_secret_value()).make(now)}"
