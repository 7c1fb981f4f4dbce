"""Mails whose sending is told: a `send email` span each and a count by outcome, without a word of the mail."""

from __future__ import annotations

from email.message import EmailMessage

from opentelemetry.trace import SpanKind

from pointsman.mail import Delivery, Mailer, SmtpMailer
from pointsman.telemetry import Telemetry, names
from pointsman.telemetry.spans import Attributes


class MeasuredMailer:
    """A `Mailer` that hands mails to another one and tells of it.

    Args:
        mailer: the one that sends.
        telemetry: the process's.
        agent: name of the agent that sends.
    """

    def __init__(self, mailer: SmtpMailer, telemetry: Telemetry, agent: str) -> None:
        self._mailer: Mailer = mailer
        self._telemetry = telemetry
        self._agent = agent
        self._server: Attributes = {names.SERVER_ADDRESS: mailer.host, names.SERVER_PORT: mailer.port}

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        """Try once to hand `message` over; see `Mailer.send`."""
        state = "refused"  # nothing happened, and it may be tried again
        try:
            with self._telemetry.spans.current("send email", SpanKind.CLIENT, self._server) as span:
                delivery = await self._mailer.send(message, sender=sender, recipient=recipient)
                state = delivery.outcome.value
                span.set_attribute(names.APP_EFFECT_STATE, state)
                return delivery
        finally:
            self._telemetry.metrics.effects.labels(self._agent, state).inc()
