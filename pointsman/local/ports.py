"""Which ports the local stack listens on: readable defaults, chosen by name, or free ones that stay the same."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pointsman.errors import ConfigurationError

HOST: Final = "127.0.0.1"
DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "kafka": 19092,
        "kafka-controller": 19093,
        "kafka-admin": 19094,
        "mongod": 27117,
        "connect": 18083,
        "flink": 18081,
        "flink-rpc": 16123,
        "flink-metrics": 18071,
        "flink-metrics-taskmanager": 18072,
        "smtp": 11025,
        "model": 18090,
        "console": 18000,
    }
)
# Below the range that systems use for outgoing connections: a server that restarts finds its own port free.
_FREE_FROM, _FREE_TO = 20_000, 32_000


def resolve(kept_in: Path, chosen: Mapping[str, int], *, free: bool) -> dict[str, int]:
    """Every port by name: what the caller chose, else what this data folder used before, else default or free.

    Args:
        kept_in: file that remembers the ports between runs.
        chosen: the caller's choices by name.
        free: choose free ports instead of the defaults.

    Raises:
        ConfigurationError: a chosen name is unknown, a number is no port, or two names share one port.
    """
    _check(chosen)
    before = kept(kept_in) if free else {}
    ports = {name: chosen.get(name) or before.get(name) or 0 for name in DEFAULT_PORTS}
    taken = set(ports.values())
    for name in (name for name, port in ports.items() if not port):
        ports[name] = _free_port(taken) if free else DEFAULT_PORTS[name]
        taken.add(ports[name])
    _refuse_twins(ports)
    return ports


def keep(kept_in: Path, ports: Mapping[str, int]) -> None:
    """Remember `ports` for the next run."""
    kept_in.parent.mkdir(parents=True, exist_ok=True)
    kept_in.write_text(json.dumps(dict(ports), indent=2) + "\n", encoding="utf-8")


def kept(kept_in: Path) -> dict[str, int]:
    """The ports that an earlier run remembered; empty when there was none."""
    try:
        read = json.loads(kept_in.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(read, dict):
        return {}
    return {name: port for name, port in read.items() if name in DEFAULT_PORTS and isinstance(port, int)}


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connection is still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections on `port` of the loopback interface."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _check(chosen: Mapping[str, int]) -> None:
    names = ", ".join(DEFAULT_PORTS)
    for name, port in chosen.items():
        if name not in DEFAULT_PORTS:
            raise ConfigurationError(f"no port is called {name!r}", f"the names are {names}")
        if not 1 <= port <= 65535:
            raise ConfigurationError(f"port {name}={port} is no port number", "choose one from 1 to 65535")


def _refuse_twins(ports: Mapping[str, int]) -> None:
    owner: dict[int, str] = {}
    for name, port in ports.items():
        if port in owner:
            raise ConfigurationError(f"{owner[port]} and {name} both want port {port}", f"choose --port {name}=NUMBER")
        owner[port] = name


def _free_port(taken: set[int]) -> int:
    candidates = random.sample(range(_FREE_FROM, _FREE_TO), 500)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise ConfigurationError(
        f"no free port found from {_FREE_FROM} to {_FREE_TO}", "free some ports or choose them with --port NAME=NUMBER"
    )
