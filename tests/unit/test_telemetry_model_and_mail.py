"""What is told of model calls and mails: figures and codes, and no word of a lead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest

from pointsman.errors import EffectUnavailableError, ModelUnavailableError
from pointsman.mail import Delivery, Outcome, SmtpMailer
from pointsman.measured_mail import MeasuredMailer
from pointsman.models import ChatRequest
from pointsman.models.access import AccessOptions
from pointsman.models.measured import MeasuredModel
from pointsman.models.offline.faults import FaultPlan, Faults
from pointsman.models.offline.server import start
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.prices import Price
from tests.recorded import Recorded

SECRET = "kim@example.com asks for the moon"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}
QUESTION = ChatRequest(system="Say the mood.", user=f'{{"text": "{SECRET}"}}', schema=SCHEMA, max_output_tokens=99)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def port(faults: Faults) -> AsyncIterator[int]:
    runner, port = await start("127.0.0.1", 0, faults)
    yield port
    await runner.cleanup()


async def ask(recorded: Recorded, port: int) -> None:
    options = OpenAIOptions(
        model="m", base_url=f"http://127.0.0.1:{port}/v1", attempts=2, wait_initial_s=0.01, wait_max_s=0.01,
        wait_jitter_s=0.0, access=AccessOptions(breaker_failures=2),
    )  # fmt: skip
    model = MeasuredModel(OpenAIChatModel("key", options), recorded.telemetry)
    try:
        await model.complete(QUESTION)
    finally:
        await model.close()


async def test_a_call_is_told_by_the_genai_conventions(port: int) -> None:
    recorded = Recorded()
    await ask(recorded, port)

    span = recorded.spans["chat m"]
    assert span.attributes is not None
    assert {name: span.attributes[name] for name in span.attributes if name.startswith("gen_ai.re")} == {
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.response.model": span.attributes["gen_ai.response.model"],
        "gen_ai.response.id": span.attributes["gen_ai.response.id"],
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.output.type"] == "json"
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", port)
    tokens = recorded.sample("pointsman_gen_ai_client_token_usage_sum", model="m", type="input")
    assert span.attributes["gen_ai.usage.input_tokens"] == tokens > 0
    assert recorded.sample("pointsman_model_attempts_total", model="m") == 1
    assert recorded.sample("pointsman_model_unpriced_total", model="m") == 1


@pytest.mark.parametrize("captures", [False, True])
async def test_prompts_and_answers_are_told_only_when_asked_for(port: int, captures: bool) -> None:
    recorded = Recorded(captures_content=captures)
    await ask(recorded, port)
    assert ("asks for the moon" in recorded.text) is captures
    assert ("mood" in recorded.text) is captures


async def test_a_failure_is_told_by_its_type_and_the_breaker_shows(port: int, faults: Faults) -> None:
    recorded = Recorded()
    faults.plan(FaultPlan(fail_next=9, status=503))
    with pytest.raises(ModelUnavailableError):
        await ask(recorded, port)
    span = recorded.spans["chat m"]
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ModelUnavailableError"
    failed = {"model": "m", "error_type": "ModelUnavailableError"}
    assert recorded.sample("pointsman_gen_ai_client_operation_duration_seconds_count", **failed) == 1
    assert recorded.sample("pointsman_model_breaker_open", model="m") == 1


class Mailing(SmtpMailer):
    """Says what it was told to, instead of asking a server."""

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        if self.host == "refuses":
            raise EffectUnavailableError("the mail server refused for now (450)")
        return Delivery(outcome=Outcome.SENT, code=250)


@pytest.mark.parametrize(("host", "state"), [("takes", "sent"), ("refuses", "refused")])
async def test_a_mail_is_told_by_its_outcome_alone(host: str, state: str) -> None:
    recorded = Recorded()
    mail = EmailMessage()
    mail["Subject"] = "Quixote"
    mailer = MeasuredMailer(Mailing(host=host, port=25), recorded.telemetry, "sender")
    try:
        await mailer.send(mail, sender="a@example.com", recipient="kim@example.com")
    except EffectUnavailableError:
        assert state == "refused"
    assert recorded.sample("pointsman_effects_total", agent="sender", state=state) == 1
    assert "send email" in recorded.spans
    assert "Quixote" not in recorded.text
    assert "example.com" not in recorded.text


async def test_the_price_of_a_known_model_is_counted(port: int) -> None:
    recorded = Recorded()
    prices = {"offline-stand-in (m)": Price(input=1.0, output=2.0)}
    options = OpenAIOptions(model="m", base_url=f"http://127.0.0.1:{port}/v1", prices=prices)
    model = MeasuredModel(OpenAIChatModel("key", options), recorded.telemetry)
    answer = await model.complete(QUESTION)
    await model.close()
    assert answer.cost_usd is not None
    assert recorded.sample("pointsman_model_cost_usd_total", model="m") == pytest.approx(answer.cost_usd)
    assert recorded.sample("pointsman_model_unpriced_total", model="m") == 0
