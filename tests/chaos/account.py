"""What became of a set of workflows, by records and mails alone: nothing here knows the code that is tested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property

from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES
from tests.witness import Seen

_NEEDS_A_REASON = {"abstained", "rejected"}


@dataclass(frozen=True)
class Account:
    """Counts over what a witness has seen.

    Attributes:
        seen: every committed record.
        mails: every mail that the mail server took.
        workflows: address of the lead by workflow id; "" when the workflow belongs to no lead.
        repeats_delivered: records were delivered repeatedly on purpose, so inboxes may hold some twice.
    """

    seen: Collection[Seen]
    mails: Collection[EmailMessage]
    workflows: Mapping[str, str]
    repeats_delivered: bool = False

    @cached_property
    def _records(self) -> dict[str, dict[str, list[Seen]]]:
        """Records by workflow and topic; all inboxes count as one topic."""
        found: dict[str, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
        for record in self.seen:
            if record.workflow in self.workflows:
                topic = "inbox" if record.topic.endswith(".inbox") else record.topic
                found[record.workflow][topic].append(record)
        return found

    def open(self) -> dict[str, str]:
        """Workflows that are not at an end, and what is still to come in each."""
        found = ((workflow, next(self._missing(workflow), None)) for workflow in self.workflows)
        return {workflow: missing for workflow, missing in found if missing}

    def _missing(self, workflow: str) -> Iterator[str]:
        records = self._records[workflow]
        if not records[MESSAGES]:
            yield "its first message"
        decided = {record.header("ce_causationid") for record in records[DECISIONS]}
        for record in records[MESSAGES]:
            if record.header("ce_id") not in decided:
                yield f"the decision on {record.type}"
        answered = {record.header("ce_causationid") for record in records[MESSAGES]}
        buried = {record.header("ce_id") for record in records[ERRORS]}
        for record in records[DECISIONS]:
            decision = record.json()
            if decision["outcome"] == "routed" and record.header("ce_causationid") not in answered | buried:
                yield f"the answer of {decision['agent']} to {decision['event_type']}"
            if decision["outcome"] in _NEEDS_A_REASON and not decision["reason"]:
                yield f"the reason of {decision['outcome']}"

    def duplicated(self) -> list[str]:
        """What is visible more often than it may be."""
        return [*self._twice_on_topics(), *self._mails_twice()]

    def _twice_on_topics(self) -> Iterator[str]:
        for workflow, records in self._records.items():
            yield from _repeated(f"{workflow}: decision", (one.header("ce_id") for one in records[DECISIONS]))
            by_message = (one.header("ce_causationid") for one in records[DECISIONS])
            yield from _repeated(f"{workflow}: decision on message", by_message)
            if self.repeats_delivered:
                continue
            yield from _repeated(f"{workflow}: routed message", (one.header("ce_id") for one in records["inbox"]))
            messages = (one.header("ce_id") for one in records[MESSAGES] if one.header("ce_causationid"))
            yield from _repeated(f"{workflow}: answer", messages)

    def _mails_twice(self) -> Iterator[str]:
        ours = {address for address in self.workflows.values() if address}
        mails = [mail for mail in self.mails if mail["To"] in ours]
        yield from _repeated("mail", (str(mail["Message-ID"]) for mail in mails))

    def to_a_person(self) -> list[str]:
        """Workflows of which a person hears: an escalation or a dead letter."""
        return [w for w, records in self._records.items() if records[ESCALATIONS] or records[ERRORS]]

    def reasons(self) -> Counter[str]:
        """Why persons hear of them."""
        found: Counter[str] = Counter()
        for records in self._records.values():
            found.update(f"escalation {one.header('x_escalation_reason')}" for one in records[ESCALATIONS])
            found.update(f"{one.header('x_error_stage')} {one.header('x_error_reason')}" for one in records[ERRORS])
        return found

    def last_types(self) -> Counter[str]:
        """How the workflows ended, by the type of their last message."""
        return Counter(records[MESSAGES][-1].type for records in self._records.values() if records[MESSAGES])


def _repeated(what: str, ids: Iterable[str]) -> Iterator[str]:
    for one, times in Counter(ids).items():
        if times > 1:
            yield f"{what} {one} x {times}"
