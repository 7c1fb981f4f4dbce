"""`pointsman capacity`: what so many leads a day need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.capacity import Capacity, Demand, Figures, planned
from pointsman.cli.output import Output, OutputOption, print_data, print_rows
from pointsman.job import ROOT
from pointsman.models.prices import PRICES
from pointsman.settings import settings

FIGURES: Final = ROOT / "bench" / "results" / "capacity.json"
_GIB: Final = 2**30


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(capacity)


def capacity(
    leads_per_day: Annotated[float, typer.Option(min=1, help="Leads on a day.")],
    peak_factor: Annotated[float, typer.Option(min=1, help="The busiest minutes compared with the average.")] = 4.0,
    model: Annotated[str | None, typer.Option(help="Chat model, for its price; POINTSMAN_MODEL if left out.")] = None,
    model_latency_s: Annotated[float, typer.Option(min=0, help="Seconds of one model call.")] = 2.0,
    utilisation: Annotated[
        float, typer.Option(min=0.05, max=1, help="Share of what an instance could do that is planned for.")
    ] = 0.6,
    kafka_replicas: Annotated[int, typer.Option(min=1, max=9, help="Copies of each record.")] = 3,
    figures: Annotated[Path, typer.Option(help="Measured figures, as bench/capacity.py writes them.")] = FIGURES,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what so many leads a day need: partitions, slots, agents, model quota, storage, cost."""
    told = settings()
    demand = Demand(
        leads_per_day=leads_per_day, peak_factor=peak_factor, model=model or told.model,
        model_latency_s=model_latency_s, utilisation=utilisation, kafka_replicas=kafka_replicas,
    )  # fmt: skip
    measured = Figures.read(figures)
    found = planned(demand, measured, {**PRICES, **told.model_prices})
    if output is not Output.TABLE:
        print_data({"demand": asdict(demand), **asdict(found), "measured": dict(measured.measured)}, output)
        return
    print_rows([{"what": what, "need": need} for what, need in rows(demand, found)], ("what", "need"), output)
    said = ", ".join(f"{name} {value}" for name, value in measured.measured.items() if not isinstance(value, dict))
    typer.echo(f"from figures of: {said}", err=True)
    for problem in (*found.problems, *_settings_in_the_way(found, told.mail_daily_cap)):
        typer.secho(problem, fg="yellow", err=True)


def rows(demand: Demand, found: Capacity) -> Iterator[tuple[str, str]]:
    """What is needed, for people."""
    model, storage = found.model, found.storage
    yield "leads per second at the peak", _number(found.peak_leads_per_s)
    yield "messages per second at the peak", _number(found.messages_per_s)
    yield "router: parallelism, slots, TaskManagers", str(found.router_instances)
    yield "partitions of agent_messages and inboxes", str(found.partitions)
    for name, need in found.agents.items():
        yield f"instances of {name}", f"{need.instances} ({_number(need.in_flight)} messages in flight)"
    yield "model calls per minute", _number(model.calls_per_min)
    yield (
        "model tokens per minute, in / out",
        (f"{_number(model.input_tokens_per_min)} / {_number(model.output_tokens_per_min)}"),
    )
    yield "model calls in flight", _number(model.in_flight)
    yield f"model cost per day ({demand.model})", _usd(model.usd_per_day)
    yield "Kafka: written per day, kept by retention", f"{_gib(storage.kafka_per_day)}, {_gib(storage.kafka_kept)}"
    yield "Kafka: compacted topics, per year", _gib(storage.kafka_compacted_per_year)
    yield "MongoDB: per day, per year", f"{_gib(storage.mongodb_per_day)}, {_gib(storage.mongodb_per_year)}"
    yield "memory of all processes", _gib(found.memory_mib * 2**20)
    yield "mails per day", _number(found.mails_per_day)


def _settings_in_the_way(found: Capacity, daily_cap: int) -> Iterator[str]:
    if found.mails_per_day > daily_cap:
        yield f"POINTSMAN_MAIL_DAILY_CAP is {daily_cap}: the mails of a day are {_number(found.mails_per_day)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _gib(size: float) -> str:
    return f"{size / _GIB:,.2f} GiB"


def _usd(amount: Any) -> str:
    return "unknown: the model's price is not known" if amount is None else f"{amount:,.2f} US dollars"
