"""The words of a model in a decision, encrypted within it: all else stays readable after an erasure. Pure.

A decision counts long after its workflow is erased: which agents, which costs, which catalog. Only the words of a model
may quote the lead: the reason of its choice, and its raw answer.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as MalformedBase64
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from pointsman.decision_log import parsed_object
from pointsman.envelope import Record
from pointsman.errors import ErasedError
from pointsman.escalations import PREFIX
from pointsman.topics import DECISIONS, ESCALATIONS, MESSAGES, WORKFLOW_STATE
from pointsman.workflow_states import WorkflowState

FIELD: Final = "encrypted"
"""Of a decision: the model's words, encrypted with the key of its workflow, base64."""
HIDDEN: Final = "in the model's words, which are encrypted in the decision log"
ERASED: Final = "erased"
_ASKED: Final = b'"model_call":{'
_MARK: Final = f'"{FIELD}":"'.encode()
_MESSAGE: Final = f"{PREFIX}message"


def with_hidden_words(records: Sequence[Record], seal: Callable[[Record], Record]) -> list[Record]:
    """What one decision writes, with the model's words in the decision encrypted and nowhere else.

    Args:
        records: what it writes.
        seal: encrypts a record's value; of an erased workflow the words are left out.
    """
    decision = next((one for one in records if one.topic == DECISIONS and _ASKED in (one.value or b"")), None)
    value = dict(parsed_object(decision.value)) if decision else {}
    if decision is None or not value:
        return list(records)
    hidden = _hidden(value)
    words = json.dumps({"reason": value.get("reason"), "raw_answer": value["model_call"].get("raw_answer")}).encode()
    # As a message's value is: the key is found by the same headers.
    with suppress(ErasedError):
        if "ce_workflowid" in decision.headers:
            sealed = seal(replace(decision, topic=MESSAGES, value=words)).value or b""
            hidden[FIELD] = b64encode(sealed).decode()
    written = replace(decision, value=_json(hidden))
    reason = str(value.get("reason"))
    return [written if one is decision else _without(one, reason) for one in records]


def without_words(record: Record) -> Record:
    """A record about decisions, without the words of models in it."""
    value = parsed_object(record.value) if _ASKED in (record.value or b"") else {}
    return replace(record, value=_json(_hidden(value))) if value else record


def hidden_in(record: Record) -> Record | None:
    """The model's words in a decision as a record with an encrypted value; None when there are none."""
    if record.topic != DECISIONS or _MARK not in (record.value or b""):
        return None
    try:
        return replace(record, value=b64decode(parsed_object(record.value)[FIELD], validate=True))
    except (KeyError, TypeError, ValueError, MalformedBase64):
        return None


def with_words(record: Record, words: bytes | None) -> Record:
    """A decision with the model's words again; None says that they are erased."""
    value = dict(parsed_object(record.value))
    told = parsed_object(words) if words is not None else {"reason": ERASED, "raw_answer": ERASED}
    value.pop(FIELD, None)
    call = value.get("model_call")
    if isinstance(call, dict):
        value |= {"reason": told.get("reason"), "model_call": {**call, "raw_answer": told.get("raw_answer")}}
    return replace(record, value=_json(value))


def _hidden(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    shown = {name: _hidden(inner) for name, inner in value.items()}
    if isinstance(shown.get("model_call"), dict):
        shown |= {"reason": HIDDEN, "model_call": {**shown["model_call"], "raw_answer": HIDDEN}}
    return shown


def _without(record: Record, reason: str) -> Record:
    """A record beside the decision, without the reason that the model gave."""
    if record.topic == ESCALATIONS and record.headers.get(_MESSAGE) == reason.encode(errors="replace"):
        return replace(record, headers={**record.headers, _MESSAGE: HIDDEN.encode()})
    state = WorkflowState.from_record(record) if record.topic == WORKFLOW_STATE else None
    if state is None or state.reason != reason:
        return record
    return replace(record, value=replace(state, reason=HIDDEN).to_record().value)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
