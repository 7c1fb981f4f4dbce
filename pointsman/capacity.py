"""What so many leads a day need: partitions, slots, agents, model quota, storage and money. Pure.

Everything follows from what one lead was measured to leave behind (`Figures`) and Little's law: what is under way at
the same time is the rate at which it comes in times the time that it takes. docs/capacity.md has the formulas in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.errors import ConfigurationError
from pointsman.models.prices import PRICES, Price, cost_usd
from pointsman.topics import ALL, DAY_MS, inbox_topic

DAY_S: Final = 86_400
FEWEST_PARTITIONS: Final = 4
MODEL_CALLS_PER_PROCESS: Final = 256
"""The default of POINTSMAN_MODEL_CONCURRENCY."""
BUSIEST: Final[Mapping[int, int]] = {1: 16, 2: 8, 3: 6, 4: 4, 7: 3, 8: 2, 16: 1}
"""Of the 16 shards, those that the busiest instance of the router has, by parallelism: their names suit powers of two.
Parallelisms that are not here share no better than a smaller one."""


class _Measured(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ModelUse(_Measured):
    """What one lead has models do, at one place."""

    model_calls: float = Field(ge=0)
    input_tokens: float = Field(ge=0)
    output_tokens: float = Field(ge=0)


class AgentFigures(ModelUse):
    """What one lead means to one agent."""

    messages: float = Field(ge=0, description="Messages in its inbox.")
    in_flight: int = Field(ge=1, description="Messages that one instance works on at the same time.")


class LeadFigures(_Measured):
    """What one lead leaves behind, on average."""

    messages: float = Field(gt=0, description="Messages on agent_messages.")
    mails: float = Field(ge=0)
    topic_bytes: Mapping[str, float] = Field(description="Uncompressed bytes by topic.")
    mongodb_bytes: float = Field(ge=0)
    router: ModelUse
    agents: Mapping[str, AgentFigures]


class Memory(_Measured):
    """MiB of one process, and of everything that there is once."""

    taskmanager: float = Field(gt=0)
    agent: float = Field(gt=0)
    rest: float = Field(ge=0)


class Figures(_Measured):
    """Measured figures, as `bench/capacity.py` writes them."""

    measured: Mapping[str, object] = Field(description="When, on what and with which leads.")
    per_lead: LeadFigures
    leads_per_s_per_instance: float = Field(gt=0, description="A rate with which one instance of everything kept up.")
    hop_s: float = Field(gt=0, description="Seconds of a hop without a model, waiting for the checkpoint included.")
    memory_mib: Memory

    @staticmethod
    def read(file: Path) -> Figures:
        """Read a file of figures.

        Raises:
            ConfigurationError: there is no such file, or it holds something else.
        """
        remedy = "name another one with --figures; bench/capacity.py measures them"
        try:
            return Figures.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror}", remedy) from None
        except ValidationError as error:
            place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
            raise ConfigurationError(f"{file} holds no figures: {place or 'it is no JSON object'}", remedy) from None


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked for.

    Attributes:
        leads_per_day: leads on a day.
        peak_factor: the busiest minutes compared with the day's average.
        model: the chat model, for its price.
        model_latency_s: seconds of one model call.
        utilisation: share of what an instance could do that is planned for; the rest is for failures and surprises.
        kafka_replicas: copies of each record.
    """

    leads_per_day: float
    peak_factor: float = 4.0
    model: str = "gpt-4o-mini"
    model_latency_s: float = 2.0
    utilisation: float = 0.6
    kafka_replicas: int = 3

    @property
    def peak_per_s(self) -> float:
        """Leads per second in the busiest minutes."""
        return self.leads_per_day / DAY_S * self.peak_factor


@dataclass(frozen=True, kw_only=True)
class AgentNeed:
    """What one agent needs.

    Attributes:
        messages_per_s: messages at the peak.
        in_flight: messages under way at the same time at the peak.
        instances: processes.
    """

    messages_per_s: float
    in_flight: float
    instances: int


@dataclass(frozen=True, kw_only=True)
class ModelNeed:
    """What the model's provider must grant, and takes.

    Attributes:
        calls_per_min: calls at the peak.
        input_tokens_per_min: tokens of prompts at the peak.
        output_tokens_per_min: tokens of answers at the peak.
        in_flight: calls under way at the same time at the peak.
        usd_per_day: list price of an average day; None where the model's price is unknown.
    """

    calls_per_min: float
    input_tokens_per_min: float
    output_tokens_per_min: float
    in_flight: float
    usd_per_day: float | None


@dataclass(frozen=True, kw_only=True)
class StorageNeed:
    """Bytes, uncompressed.

    Attributes:
        kafka_per_day: written to Kafka on a day, all copies.
        kafka_kept: what retention keeps of it, all copies.
        kafka_compacted_per_year: what compacted topics grow by, all copies: they keep the latest record of each key.
        mongodb_per_day: documents and indexes, one copy.
        mongodb_per_year: the same; nothing but `pointsman leads erase` takes them away.
    """

    kafka_per_day: float
    kafka_kept: float
    kafka_compacted_per_year: float
    mongodb_per_day: float
    mongodb_per_year: float


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What it takes.

    Attributes:
        peak_leads_per_s: the rate that all of it is made for.
        messages_per_s: messages that the router decides on at the peak.
        router_instances: parallelism of the job; as many slots and TaskManagers.
        partitions: of `agent_messages` and each inbox.
        agents: by name.
        model: the model.
        storage: disks.
        memory_mib: resident memory of all processes.
        mails_per_day: mails on a day.
        problems: why it cannot be had like that, in words.
    """

    peak_leads_per_s: float
    messages_per_s: float
    router_instances: int
    partitions: int
    agents: Mapping[str, AgentNeed]
    model: ModelNeed
    storage: StorageNeed
    memory_mib: float
    mails_per_day: float
    problems: tuple[str, ...]


def planned(demand: Demand, figures: Figures, prices: Mapping[str, Price] = PRICES) -> Capacity:
    """What `demand` takes.

    Args:
        demand: what is asked for.
        figures: what one lead was measured to leave behind.
        prices: list prices by model.
    """
    load = _router_load(demand, figures)
    router = _router_instances(load)
    agents = {name: _agent(demand, figures, one) for name, one in figures.per_lead.agents.items()}
    most = max((need.instances for need in agents.values()), default=1)
    memory = figures.memory_mib
    processes = sum(need.instances for need in agents.values())
    return Capacity(
        peak_leads_per_s=demand.peak_per_s,
        messages_per_s=demand.peak_per_s * figures.per_lead.messages,
        router_instances=router,
        partitions=FEWEST_PARTITIONS * math.ceil(max(most, 1) / FEWEST_PARTITIONS),
        agents=agents,
        model=_model(demand, figures, prices),
        storage=_storage(demand, figures),
        memory_mib=router * memory.taskmanager + processes * memory.agent + memory.rest,
        mails_per_day=demand.leads_per_day * figures.per_lead.mails,
        problems=tuple(_problems(load, router)),
    )


def _router_load(demand: Demand, figures: Figures) -> float:
    """The router's work, in instances that had nothing but an even share of it."""
    by_rate = demand.peak_per_s / (figures.leads_per_s_per_instance * demand.utilisation)
    in_flight = demand.peak_per_s * figures.per_lead.router.model_calls * demand.model_latency_s
    return max(by_rate, in_flight / (MODEL_CALLS_PER_PROCESS * demand.utilisation))


def _router_instances(load: float) -> int:
    """As many as it takes for the busiest to keep up; where none are enough, as many as are of use."""
    enough = (number for number, shards in BUSIEST.items() if load * shards <= BUSIEST[1])
    return next(enough, max(BUSIEST))


def _agent(demand: Demand, figures: Figures, agent: AgentFigures) -> AgentNeed:
    per_s = demand.peak_per_s * agent.messages
    # Little: the rate times the time of each message, which is a hop and the calls that it makes.
    in_flight = per_s * figures.hop_s + demand.peak_per_s * agent.model_calls * demand.model_latency_s
    by_work = _whole(in_flight, agent.in_flight * demand.utilisation)
    return AgentNeed(
        messages_per_s=per_s, in_flight=in_flight, instances=max(by_work, _by_rate(per_s, demand, figures))
    )


def _by_rate(per_s: float, demand: Demand, figures: Figures) -> int:
    """Instances at the rate with which one was seen to keep up. More may be possible; it was not measured."""
    return _whole(per_s, figures.leads_per_s_per_instance * demand.utilisation)


def _model(demand: Demand, figures: Figures, prices: Mapping[str, Price]) -> ModelNeed:
    users = (figures.per_lead.router, *figures.per_lead.agents.values())
    calls = sum(use.model_calls for use in users)
    tokens_in, tokens_out = sum(use.input_tokens for use in users), sum(use.output_tokens for use in users)
    per_min = demand.peak_per_s * 60
    return ModelNeed(
        calls_per_min=per_min * calls,
        input_tokens_per_min=per_min * tokens_in,
        output_tokens_per_min=per_min * tokens_out,
        in_flight=demand.peak_per_s * calls * demand.model_latency_s,
        usd_per_day=cost_usd(
            demand.model,
            input_tokens=round(demand.leads_per_day * tokens_in),
            output_tokens=round(demand.leads_per_day * tokens_out),
            prices=prices,
        ),
    )


def _storage(demand: Demand, figures: Figures) -> StorageNeed:
    own = {topic.name: topic for topic in ALL}
    day = {
        name: size * demand.leads_per_day * demand.kafka_replicas for name, size in figures.per_lead.topic_bytes.items()
    }
    kept = {name: own.get(name) or inbox_topic("any") for name in day}
    mongodb = figures.per_lead.mongodb_bytes * demand.leads_per_day
    return StorageNeed(
        kafka_per_day=sum(day.values()),
        kafka_kept=sum(
            size * kept[name].retention_ms / DAY_MS for name, size in day.items() if not kept[name].compacted
        ),
        # A state is written with each message of a workflow, and compaction leaves the last.
        kafka_compacted_per_year=365
        * sum(size for name, size in day.items() if kept[name].compacted)
        / figures.per_lead.messages,
        mongodb_per_day=mongodb,
        mongodb_per_year=365 * mongodb,
    )


def _problems(load: float, router: int) -> list[str]:
    most = BUSIEST[1] / BUSIEST[router]
    if load <= most:
        return []
    times = math.ceil(load / most)
    return [f"one router carries the work of {most:.1f} instances, and {load:.1f} are needed: run {times} systems"]


def _whole(wanted: float, each: float) -> int:
    """How many of `each` make `wanted`, at least one."""
    return max(1, math.ceil(wanted / each))
