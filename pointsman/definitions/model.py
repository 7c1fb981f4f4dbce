"""What an agent definition holds."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from pointsman.definitions.tool_servers import ToolServer
from pointsman.topics import AGENT_NAME_PATTERN

AgentName = Annotated[str, StringConstraints(pattern=rf"^{AGENT_NAME_PATTERN}$")]
EventType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$", max_length=100)]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
JsonSchema = dict[str, Any]
COLLECTION_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}$"
_TOOL_ROUNDS: Final = 4


def _is_left_out(value: Any) -> bool:
    # A definition that does not use what came later keeps its digest: catalogs that older versions wrote stay readable.
    return value is None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Accepts(_Strict):
    """An event type the agent takes, and the contract its payload must keep."""

    type: EventType = Field(description="Event type, past tense, e.g. lead.scored.")
    contract: JsonSchema = Field(description="JSON Schema 2020-12 of the payload.")


class Emits(_Strict):
    """An event type the agent answers with, and the contract its payload keeps."""

    type: EventType = Field(description="Event type, past tense, e.g. lead.scored.")
    contract: JsonSchema = Field(description="JSON Schema 2020-12 of the payload.")
    terminal: bool = Field(default=False, description="Nobody needs to act on it: the workflow is complete.")
    next_agent: AgentName | None = Field(
        default=None, description="A strict rule: this agent gets it next, and no model is asked."
    )

    @model_validator(mode="after")
    def _terminal_has_no_next(self) -> Emits:
        if self.terminal and self.next_agent:
            message = "a terminal event has no next agent: remove one of the two"
            raise ValueError(message)
        return self


class ModelChoice(_Strict):
    """Which chat model the agent asks, and how."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Model name; the setting POINTSMAN_MODEL when left out."
    )
    strong: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None,
        exclude_if=_is_left_out,
        description="A stronger model, asked where the first one's answer is of no use or says that it is not sure.",
    )
    doubt_below: float | None = Field(
        default=None,
        exclude_if=_is_left_out,
        gt=0,
        le=1,
        description="Ask the stronger model too where the answer's own `confidence`, 0 to 1, is lower.",
    )
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_output_tokens: int = Field(default=1200, ge=1, le=100_000)
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="Seconds for one call.")

    @model_validator(mode="after")
    def _doubt_needs_somebody_to_ask(self) -> ModelChoice:
        if self.doubt_below is not None and self.strong is None:
            message = "doubt_below needs strong: name the model that is asked in doubt"
            raise ValueError(message)
        return self


class CacheUse(_Strict):
    """The same question gets the same answer for some time, and no model is asked."""

    # As long as Kafka keeps messages: an erased person's data ends with it (docs/adr/0006).
    ttl_s: float = Field(gt=0, le=604_800, description="Seconds for which an answer is kept, at most seven days.")


class KnowledgeUse(_Strict):
    """Which of the team's own documents the agent reads before it answers."""

    collection: Annotated[str, StringConstraints(pattern=COLLECTION_PATTERN)] = Field(
        description="Collection of documents, as `pointsman knowledge add --collection` names it."
    )
    passages: int = Field(default=3, ge=1, le=10, description="How many passages of them at most.")


class Limits(_Strict):
    """How much the agent may do at once and how long it may try."""

    in_flight: int = Field(default=32, ge=1, le=1000, description="Messages worked on at the same time per instance.")
    timeout_s: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds of work on one message, quick retries included."
    )
    attempts: int = Field(default=4, ge=1, le=20, description="Tries per message while failures pass within seconds.")
    retry_for_s: float = Field(
        default=900.0,
        ge=0,
        le=86_400,
        description="Seconds for which a message waits out an outage of the model, the store or an effect.",
    )
    max_replies: int = Field(
        default=10, ge=1, le=100, description="Answers to one message; what is more becomes one dead letter."
    )
    model_calls: int | None = Field(
        default=None, ge=1, le=1000, description="Model answers per message; what would go over waits for a person."
    )
    cost_usd: float | None = Field(
        default=None, gt=0, le=1000, description="US dollars for models per message, with one call over at most."
    )
    # What a definition does not use stays out of its JSON, whose digest readers of an earlier version compare.
    tool_rounds: int = Field(
        default=_TOOL_ROUNDS,
        ge=1,
        le=50,
        exclude_if=lambda rounds: rounds == _TOOL_ROUNDS,
        description="How often the model may ask for tools per message before it has to answer.",
    )
    max_visits: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How often it may say the same in one workflow before a person looks; the job's limit if left out.",
    )


class AgentDefinition(_Strict):
    """One agent: what it is for, what it takes, what it answers.

    The description, the examples and the counter-examples are what the router's model reads; the contracts decide
    whether the agent is a candidate at all.
    """

    name: AgentName = Field(description="Same as the file's stem; lower case, digits, underscores.")
    version: Version = Field(description="Semantic version, in quotes or plain: 1.2.0.")
    description: Text = Field(description="When this agent is the right one. The router's model reads it.")
    accepts: list[Accepts] = Field(min_length=1, max_length=50)
    emits: list[Emits] = Field(min_length=1, max_length=50)
    examples: list[Text] = Field(default=[], max_length=50, description="Messages that belong here.")
    counter_examples: list[Text] = Field(default=[], max_length=50, description="Messages that belong elsewhere.")
    model: ModelChoice = Field(default=ModelChoice())
    instructions: Annotated[str, StringConstraints(max_length=20_000)] | None = Field(
        default=None, description="System turn of the agent's own model call. Jinja2; variables: agent, event_type."
    )
    purpose: Literal["enrich", "score", "write", "act"] | None = Field(
        default=None,
        exclude_if=_is_left_out,
        description="What its answers are: facts (enrich), judgements (score), text for people (write), effects (act).",
    )
    cache: CacheUse | None = Field(
        default=None,
        exclude_if=_is_left_out,
        description="Keeps answers of its model; only where the purpose is enrich or score.",
    )
    knowledge: KnowledgeUse | None = Field(
        default=None,
        exclude_if=_is_left_out,
        description="The team's own documents that it may cite; none when left out.",
    )
    tools: list[ToolServer] = Field(
        default=[],
        max_length=10,
        exclude_if=lambda servers: not servers,
        description="MCP servers whose tools the agent's own model may use.",
    )
    settings: dict[str, Any] = Field(default={}, description="The agent module's own settings.")
    limits: Limits = Field(default=Limits())
    approval: Literal["required"] | None = Field(
        default=None, description="required: it gets no message before a person has sent it on to this agent."
    )

    @field_validator("tools")
    @classmethod
    def _tools_have_names_of_their_own(cls, servers: list[ToolServer]) -> list[ToolServer]:
        offered = [name for server in servers for name in (server.name, *server.offered())]
        if len(set(offered)) < len(offered):
            message = "two tool servers have the same name, or tools that would reach the model under the same name"
            raise ValueError(message)
        return servers

    @model_validator(mode="after")
    def _types_are_listed_once(self) -> AgentDefinition:
        for field in ("accepts", "emits"):
            types = [entry.type for entry in getattr(self, field)]
            twice = {name for name in types if types.count(name) > 1}
            if twice:
                message = f"{field} lists {', '.join(sorted(twice))} twice"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _only_facts_and_judgements_are_cached(self) -> AgentDefinition:
        if self.cache and self.purpose not in ("enrich", "score"):
            message = "cache is for purpose: enrich or score; what is written to people or acts is made anew each time"
            raise ValueError(message)
        return self

    def accepted(self, event_type: str) -> Accepts | None:
        """The entry for `event_type` among what the agent accepts, if any."""
        return next((entry for entry in self.accepts if entry.type == event_type), None)

    def emitted(self, event_type: str) -> Emits | None:
        """The entry for `event_type` among what the agent emits, if any."""
        return next((entry for entry in self.emits if entry.type == event_type), None)
