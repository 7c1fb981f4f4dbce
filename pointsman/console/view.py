"""What the page shows, kept in memory and bounded. Pure: fed with records, asked for plain data."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Literal

from pointsman.catalog import Catalog, CatalogReader
from pointsman.envelope import Record, to_rfc3339
from pointsman.errors import PermanentError
from pointsman.journeys import Hop, Journey, Journeys
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.topics import DEFINITIONS

MOST_SHOWN: Final = 100
_LONGEST_ID: Final = 200

Kafka = Literal["connecting", "up", "down"]


class View:
    """Journeys and agents as the page shows them; one thread feeds it, others ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._journeys = Journeys()
        self._reader = CatalogReader()
        self._catalog = Catalog()
        self._kafka: Kafka = "connecting"
        self._changes = 0

    def feed(self, record: Record) -> None:
        """Take one record over, whatever it holds."""
        with self._lock:
            if record.topic == DEFINITIONS:
                self._definition(record)
            else:
                self._journeys.feed(record)
            self._changes += 1

    def set_kafka(self, state: Kafka) -> None:
        """Note whether Kafka answers."""
        with self._lock:
            self._changes += state != self._kafka
            self._kafka = state

    @property
    def changes(self) -> int:
        """Grows with everything that can change the page."""
        return self._changes

    def state(self) -> dict[str, Any]:
        """The page's data, as JSON."""
        with self._lock:
            journeys, catalog = self._journeys.all(), self._catalog
            unreadable, kafka = self._journeys.unreadable, self._kafka
        counts = Counter(_lane(journey) for journey in journeys)
        return {
            "kafka": kafka,
            "counts": {lane: counts[lane] for lane in ("working", "completed", "abstained", "rejected")},
            "unreadable": unreadable,
            "journeys": [_journey(journey) for journey in journeys[:MOST_SHOWN]],
            "journeys_left_out": max(0, len(journeys) - MOST_SHOWN),
            "catalog": _catalog(catalog),
        }

    def _definition(self, record: Record) -> None:
        try:
            self._catalog = self._reader.accept(record.key, record.value) or self._catalog
        except PermanentError:
            return  # the router's job writes it to agent_errors; what is in force stays


def _lane(journey: Journey) -> str:
    return str(journey.outcome.value) if journey.is_over and journey.outcome else "working"


def _journey(journey: Journey) -> dict[str, Any]:
    return {
        "id": _shown_id(journey.workflow_id),
        "title": journey.title,
        "stage": journey.stage,
        "lane": _lane(journey),
        "began_at": _time(journey.began_at),
        "touched_at": _time(journey.touched_at),
        "hops": [_hop(hop) for hop in journey.hops],
    }


def _shown_id(workflow_id: str) -> str:
    """The id as it is; where it holds an address or is no plain text, a masked form that is still unique."""
    shown = mask(one_line(workflow_id, _LONGEST_ID))
    if shown == workflow_id:
        return shown
    return f"{shown} {hashlib.sha256(workflow_id.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _hop(hop: Hop) -> dict[str, Any]:
    plain = asdict(hop)
    del plain["message_id"], plain["position"]
    return {
        **plain,
        "decided_at": _time(hop.decided_at),
        "written_at": _time(hop.written_at),
        "candidates": [{"agent": agent, "fits": fits, "why": why} for agent, fits, why in hop.candidates],
    }


def _catalog(catalog: Catalog) -> dict[str, Any]:
    agents = [
        {
            "name": definition.name,
            "version": definition.version,
            "description": definition.description,
            "accepts": [entry.type for entry in definition.accepts],
            "emits": [{"type": entry.type, "terminal": entry.terminal} for entry in definition.emits],
        }
        for definition in catalog.definitions.values()
    ]
    return {"sequence": catalog.sequence, "version": catalog.version, "agents": agents}


def _time(time: datetime | None) -> str | None:
    return to_rfc3339(time) if time else None
