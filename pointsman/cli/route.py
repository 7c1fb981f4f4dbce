"""`pointsman route --dry-run`: explain a decision without sending anything."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.catalog import Catalog
from pointsman.cli.output import Output, OutputOption, print_lines
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import AGENT_SOURCE, OPERATOR_SOURCE, Envelope, Payload, decode_payload
from pointsman.errors import ConfigurationError, InvalidEnvelopeError, PointsmanError
from pointsman.kafka import load_catalog
from pointsman.models.factory import chat_model
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatModel
from pointsman.routing import Candidate, Counters, Decision, ModelQuestion, Router, RoutingOptions
from pointsman.settings import settings

_LARGEST_FILE_BYTES: Final = 2 * 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(route)


def route(
    event_type: Annotated[str, typer.Option("--type", help="Event type, e.g. lead.scored.")],
    payload: Annotated[str, typer.Option(help="A file with the payload, - for stdin, or a JSON object.")],
    source: Annotated[str, typer.Option(help="Who says it: an agent's name, or a whole source.")] = "/anybody",
    agent: Annotated[str | None, typer.Option(help="As if a person named this agent.")] = None,
    catalog: Annotated[Path | None, typer.Option(help="Folder of definitions; those in force if left out.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Needed: this command never sends.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Also ask the model, where one would be asked.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell who would get a message and why: the candidates, and what the model would be asked. Sends nothing."""
    if not dry_run:
        raise typer.BadParameter("this only explains: add --dry-run; `pointsman messages send` sends a message")
    message = a_message(event_type, read_payload(payload), source, agent)
    router = Router(definitions(catalog), RoutingOptions())
    prepared = router.prepare(message, Counters(step=1), datetime.now(UTC))
    decision = prepared if isinstance(prepared, Decision) else None
    if ask and isinstance(prepared, ModelQuestion):
        decision = asyncio.run(_asked(router, prepared))
    question = prepared if isinstance(prepared, ModelQuestion) else None
    print_lines(lines(question, decision), _data(question, decision), output)


def a_message(event_type: str, payload: Payload, source: str, agent: str | None) -> Envelope:
    """The message to explain; one for which a person names the agent comes from a person."""
    named = source if source.startswith("/") else f"{AGENT_SOURCE}{source}"
    return Envelope(
        id=str(uuid.uuid4()),
        source=f"{OPERATOR_SOURCE}dry-run" if agent else named,
        event_type=event_type,
        workflow_id="dry-run",
        payload=payload,
        time=datetime.now(UTC),
        target_agent=agent,
    )


def read_payload(given: str) -> Payload:
    """The payload: from a file, from stdin, or as it is written.

    Raises:
        ConfigurationError: it cannot be read, or is no JSON object.
    """
    try:
        return decode_payload(_octets(given))
    except OSError as error:
        raise ConfigurationError(
            f"--payload: {given[:80]} cannot be read: {error.strerror}", "check the path"
        ) from None
    except InvalidEnvelopeError as error:
        raise ConfigurationError(f"--payload: {error.detail}", "write a JSON object") from None


def definitions(folder: Path | None) -> Catalog:
    """The definitions of a folder, or those in force."""
    if folder is not None:
        return Catalog.of(load_folder_or_raise(folder).definitions)
    return load_catalog(settings().kafka_bootstrap)


def routing_model() -> ChatModel:
    """The model that the settings name."""
    return OpinionsModel(chat_model(settings()))


def lines(question: ModelQuestion | None, decision: Decision | None) -> Iterator[str]:
    """The explanation for a terminal."""
    candidates = question.candidates if question else decision.candidates if decision else ()
    yield "candidates" if candidates else "candidates: nobody lists this type"
    for one in candidates:
        yield f"  {'+' if one.fits else '-'} {one.agent} {one.version}: {one.why}"
    if question:
        yield f"the model would be asked ({question.request.model or settings().model})"
        yield from (f"  | {line}" for line in question.request.system.splitlines())
        yield f"  > {question.request.user}"
    if decision is None:
        yield "decision: the model's; --ask asks it"
        return
    if decision.model_call:
        yield f"the model answered ({decision.model_call.model})"
        yield f"  < {decision.model_call.raw_answer}"
    yield f"decision: {decision.outcome.value}{f' → {decision.agent}' if decision.agent else ''} ({decision.how.value})"
    yield f"  {decision.reason_code}: {decision.reason}"


def _data(question: ModelQuestion | None, decision: Decision | None) -> dict[str, Any]:
    asked = None
    if question:
        request = question.request
        asked = {"system": request.system, "user": request.user, "schema": request.schema, "hash": question.prompt_hash}
    candidates: tuple[Candidate, ...] = question.candidates if question else decision.candidates if decision else ()
    return {
        "candidates": [vars(one) for one in candidates],
        "question": asked,
        "decision": decision.to_json() if decision else None,
    }


async def _asked(router: Router, question: ModelQuestion) -> Decision:
    model = routing_model()
    try:
        return router.conclude(question, await model.complete(question.request))
    except ConfigurationError:
        raise
    except PointsmanError as error:
        return router.conclude_failure(question, error)
    finally:
        await model.close()


def _octets(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read(_LARGEST_FILE_BYTES)
    if given.lstrip().startswith("{"):
        return given.encode(errors="surrogateescape")
    return Path(given).read_bytes()
