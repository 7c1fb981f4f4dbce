"""The one call of Kafka Connect's REST API that a deployment makes: put a connector's configuration in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import httpx2

from pointsman.errors import ConfigurationError, TransientError

TIMEOUT_S: Final = 30.0
_REFUSED: Final = 400


class ConnectUnavailableError(TransientError):
    """The Kafka Connect worker did not take the configuration now; trying again is safe."""


def register(url: str, name: str, config: Mapping[str, str]) -> None:
    """Make the connector called `name`, or change it to `config`.

    Args:
        url: address of a worker's REST API.
        name: the connector's name.
        config: its configuration.

    Raises:
        ConnectUnavailableError: nobody answers, or the workers are just sharing out their work.
        ConfigurationError: Connect refuses the configuration.
    """
    address = f"{url.rstrip('/')}/connectors/{quote(name, safe='')}/config"
    try:
        answer = httpx2.put(address, json=dict(config), timeout=TIMEOUT_S)
    except httpx2.HTTPError as error:
        raise ConnectUnavailableError(f"Kafka Connect at {url} does not answer ({type(error).__name__})") from None
    if answer.status_code == _REFUSED:
        # The answer may quote the configuration, and with it a password.
        what = f"Kafka Connect at {url} refused the configuration of {name}"
        raise ConfigurationError(what, "look into the worker's log and correct connectors/leads_source.json")
    if not answer.is_success:
        raise ConnectUnavailableError(f"Kafka Connect at {url} answered {answer.status_code}; try again")
