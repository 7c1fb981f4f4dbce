"""What another model or another catalog would have made of messages of the past."""

from __future__ import annotations

from pointsman.catalog import Catalog
from pointsman.decision_log import LoggedDecision, read_decision
from pointsman.envelope import Record
from pointsman.replay import Replay
from pointsman.what_if import WhatIf, summary
from tests.logged import CATALOG, Asked, agent, chooses, decided, entry, placed, scored, scorer

REPLAY = Replay({CATALOG.version: CATALOG})
ONE = Catalog.of([agent("warm"), scorer()])
OTHER = Catalog.of([agent("warm", "Takes leads that ask for a demo."), agent("cold"), scorer()])


def pairs() -> list[tuple[LoggedDecision, Record]]:
    garbage = placed(Record(topic="agent_messages", key=b"w", value=b"{", headers={}), 3)
    told = [(scored(1), chooses("warm")), (scored(2, event_type="mail.sent"), None), (garbage, None)]
    found = []
    for record, answer in told:
        decision = read_decision(entry(decided(record, answer)))
        assert decision is not None
        found.append((decision, record))
    return found


async def test_another_model_is_asked_only_what_a_model_was_asked() -> None:
    model = Asked("cold")
    question = WhatIf(REPLAY, model, model_name="other")
    assert question.calls(pairs()) == 1
    done: list[int] = []
    changed, same, skipped = await question.run(pairs(), lambda: done.append(1))
    assert [request.model for request in model.requests] == ["other"]
    assert (changed.before, changed.after, changed.is_changed, changed.asked) == ("warm", "cold", True, True)
    assert (same.after, same.is_changed, same.asked) == ("completed", False, False)
    assert (skipped.skipped, skipped.is_changed) == ("it is no message", False)
    assert list(summary([changed, same, skipped])) == [("warm", "cold", 1), ("completed", "completed", 1)]
    assert len(done) == 3


async def test_the_same_question_is_not_asked_again() -> None:
    model = Asked("cold")
    verdicts = await WhatIf(REPLAY, model, catalog=CATALOG).run(pairs())
    assert model.requests == []
    assert not any(verdict.is_changed for verdict in verdicts)


async def test_another_description_is_another_question() -> None:
    model = Asked("cold")
    verdicts = await WhatIf(REPLAY, model, catalog=OTHER).run(pairs())
    assert len(model.requests) == 1
    assert verdicts[0].is_changed


async def test_a_catalog_that_leaves_one_candidate_asks_nobody() -> None:
    model = Asked("warm")
    verdicts = await WhatIf(REPLAY, model, catalog=ONE).run(pairs())
    assert (model.requests, verdicts[0].after) == ([], "warm")


async def test_a_decision_of_an_unknown_catalog_is_skipped() -> None:
    verdicts = await WhatIf(Replay({}), Asked("warm"), model_name="m").run(pairs())
    assert "is not kept" in verdicts[0].skipped
