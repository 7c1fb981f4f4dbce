"""What an evaluation judges: the agent that was chosen, also where a person must approve or the choice was in doubt."""

from __future__ import annotations

import pytest

from pointsman.catalog import Catalog
from pointsman.errors import ModelAnswerError
from pointsman.evaluation.measures import figures
from pointsman.evaluation.running import Result, run
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatAnswer
from pointsman.routing.router import Router, RoutingOptions
from tests.unit.test_confidence import Scripted, answer
from tests.unit.test_evaluation import example
from tests.unit.test_routing_router import definition

CATALOG = Catalog.of([definition("cold"), definition("warm"), definition("shy", approval="required")])


async def judged(right: str | None, *answers: ChatAnswer | Exception, confidence: str = "0.7") -> Result:
    options = RoutingOptions(confidence=confidence, second_model="strong" if len(answers) > 1 else "")
    [result] = await run([example(1, right)], Router(CATALOG, options), OpinionsModel(Scripted(*answers)))
    return result


async def test_a_choice_that_waits_for_approval_is_judged_as_the_choice_that_it_is() -> None:
    right, wrong = await judged("shy", answer("shy", 0.9)), await judged("cold", answer("shy", 0.9))
    assert (right.agent, right.outcome, right.is_right) == ("shy", "abstained", True)
    assert (wrong.agent, wrong.is_right) == ("shy", False)
    found = figures([right, wrong])
    assert found.confusion == {("shy", "shy"): 1, ("cold", "shy"): 1}
    assert (str(found.precision["shy"]), found.abstention_precision.total) == ("50.0% (1/2)", 0)


async def test_an_agent_that_contracts_choose_for_approval_is_judged_too() -> None:
    alone = Router(Catalog.of([definition("shy", approval="required")]))
    [result] = await run([example(1, "shy")], alone, None)
    assert (result.agent, result.how, result.is_right) == ("shy", "single_candidate", True)


async def test_a_choice_in_doubt_reaches_nobody_and_its_confidence_is_that_of_the_choice() -> None:
    result = await judged("warm", answer("warm", 0.6))
    assert (result.agent, result.doubted, result.confidence) == (None, "warm", 0.6)
    assert (result.is_right, result.is_choice_right) == (False, True)


async def test_a_choice_that_stays_in_doubt_after_a_second_opinion_is_the_second_ones() -> None:
    result = await judged("cold", answer("warm", 0.6), answer("cold", 0.5, "strong"))
    assert (result.agent, result.doubted, result.confidence, result.is_choice_right) == (None, "cold", 0.5, True)


async def test_none_of_them_is_a_choice_of_its_own() -> None:
    result = await judged(None, answer("none", 0.4))
    assert (result.agent, result.doubted, result.confidence, result.is_choice_right) == (None, None, 0.4, True)


@pytest.mark.parametrize("useless", [answer("stranger", 0.9), ModelAnswerError("rubbish", answer("x", 0.9))])
async def test_an_answer_that_chooses_nobody_we_know_has_no_confidence(useless: ChatAnswer | Exception) -> None:
    result = await judged(None, useless)
    assert (result.agent, result.confidence) == (None, None)


async def test_calibration_compares_a_confidence_with_the_choice_that_it_is_about() -> None:
    doubted = [await judged(right, answer("warm", 0.6)) for right in ("warm", "warm", "cold", None)]
    found = figures([*doubted, await judged("warm", answer("warm", 0.95))])
    assert [(each.count, each.accuracy) for each in found.bins] == [(4, 0.5), (1, 1.0)]
    assert found.calibration_error == pytest.approx((4 * 0.1 + 0.05) / 5)
    assert found.accuracy.right == 2  # Nobody got the doubted ones: right only where nobody should.


async def test_the_calibration_does_not_move_with_the_threshold() -> None:
    answers = [("warm", 0.6), ("cold", 0.6), ("warm", 0.95)]
    kept = [
        figures([await judged("warm", answer(*each), confidence=threshold) for each in answers])
        for threshold in ("0", "0.7")
    ]
    assert kept[0].bins == kept[1].bins
    assert kept[0].calibration_error == kept[1].calibration_error
