"""What a deployment asks of Kafka Connect's REST API: put a connector's configuration in force, or look at it."""

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
    answer = _put(url, f"connectors/{quote(name, safe='')}/config", config)
    if answer.status_code == _REFUSED:
        # The answer may quote the configuration, and with it a password.
        what = f"Kafka Connect at {url} refused the configuration of {name}"
        raise ConfigurationError(what, "look into the worker's log and correct connectors/leads_source.json")
    if not answer.is_success:
        raise ConnectUnavailableError(f"Kafka Connect at {url} answered {answer.status_code}; try again")


def validate(url: str, name: str, config: Mapping[str, str]) -> None:
    """Have the worker look at `config`, and at what it leads to, without making a connector of it.

    Args:
        url: address of a worker's REST API.
        name: the connector's name.
        config: its configuration.

    Raises:
        ConnectUnavailableError: nobody answers, or the worker cannot say now.
        ConfigurationError: something in it is wrong; its settings are named, and not their values.
    """
    kind = config["connector.class"].rpartition(".")[2]
    answer = _put(url, f"connector-plugins/{quote(kind, safe='')}/config/validate", {**config, "name": name})
    if not answer.is_success:
        raise ConnectUnavailableError(f"Kafka Connect at {url} answered {answer.status_code}; try again")
    wrong = [one["value"]["name"] for one in answer.json()["configs"] if one["value"]["errors"]]
    if wrong:
        what = f"Kafka Connect at {url} would refuse the configuration of {name}: {', '.join(wrong)}"
        raise ConfigurationError(what, "correct it in connectors/leads_source.json, or in what was given")


def _put(url: str, path: str, config: Mapping[str, str]) -> httpx2.Response:
    try:
        return httpx2.put(f"{url.rstrip('/')}/{path}", json=dict(config), timeout=TIMEOUT_S)
    except httpx2.HTTPError as error:
        raise ConnectUnavailableError(f"Kafka Connect at {url} does not answer ({type(error).__name__})") from None
