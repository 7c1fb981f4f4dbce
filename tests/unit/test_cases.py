"""A workflow as a regression test: nobody is named in it, and a changed decision is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.cases import Case, make_case, parse_case, run_case
from pointsman.catalog import Catalog
from pointsman.decision_log import LoggedDecision, read_decision
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, ModelAnswerError, RefusedError
from pointsman.pseudonyms import disguised, vocabulary, without_people
from tests.logged import CATALOG, agent, chooses, decided, entry, placed, scored, scorer

CATALOGS = {CATALOG.version: CATALOG}
STEP = agent("warm", properties={"next_step": {"enum": ["engage", "wait"]}})


def pair(record: Record, *args: Any, **told: Any) -> tuple[LoggedDecision, Record]:
    decision = read_decision(entry(decided(record, *args, **told)))
    assert decision is not None
    return decision, record


def a_case(*, mask: bool = True) -> Case:
    person = scored(2, source="/operators/mara.lind", target_agent="cold")
    broken = scored(3, payload={"name": "Mara"})
    useless = ModelAnswerError("also after one repair: the answer was empty", chooses("warm", raw="Mara"))
    garbage = placed(Record(topic="agent_messages", key=b"w", value=b"\xff", headers={}), 5)
    pairs = [
        pair(scored(1), chooses("warm")), pair(person, step=2), pair(broken, step=3),
        pair(scored(4), useless, step=4), pair(garbage, step=5),
    ]  # fmt: skip
    return make_case("w", pairs, CATALOGS, mask=mask)


@pytest.mark.parametrize("mask", [True, False])
def test_a_case_survives_its_file_and_every_decision_comes_out_the_same(mask: bool) -> None:
    read = parse_case(json.dumps(a_case(mask=mask).to_json()))
    results = run_case(read)
    assert [result.is_same for result in results] == [True] * 5
    assert read.is_masked is mask


def test_nobody_is_named_unless_it_is_asked_for() -> None:
    text = json.dumps(a_case().to_json()).lower()
    assert "mara" not in text
    assert "lind" not in text
    assert "nordhafen" not in text
    assert "Mara Lind" in json.dumps(a_case(mask=False).to_json())


def test_a_decision_that_other_definitions_change_is_seen() -> None:
    first = run_case(a_case(), Catalog.of([agent("cold"), agent("warm", required=["score", "budget"]), scorer()]))[0]
    assert {one.field: (one.logged, one.now) for one in first.differences} == {
        "agent": ("warm", "cold"),
        "how": ("model", "single_candidate"),
        "reason_code": ("model_choice", "single_candidate"),
    }


def test_definitions_that_ask_where_nobody_was_asked_are_a_problem() -> None:
    one = Catalog.of([agent("warm"), scorer()])
    case = make_case("w", [pair(scored(1), catalog=one)], {one.version: one}, mask=True)
    (result,) = run_case(case, CATALOG)
    assert "holds no answer" in result.problem
    assert not result.is_same


def test_a_case_whose_decisions_hang_on_what_is_disguised_is_not_made() -> None:
    strict = Catalog.of([agent("warm", properties={"name": {"pattern": "^Mara"}}), scorer()])
    decision, record = pair(scored(1), catalog=strict)
    with pytest.raises(RefusedError, match=r"message 1 \(lead.scored\) would not be decided as it was.*--unmask"):
        make_case("w", [(decision, record)], {strict.version: strict}, mask=True)
    assert make_case("w", [(decision, record)], {strict.version: strict}, mask=False).steps


def test_a_case_of_an_unknown_catalog_is_not_made() -> None:
    with pytest.raises(RefusedError, match="is not kept"):
        make_case("w", [pair(scored(1), chooses("warm"))], {}, mask=False)


def test_words_of_the_contracts_stay_and_so_do_ids_numbers_and_times() -> None:
    words = vocabulary([Catalog.of([STEP])])
    payload = {
        "next_step": "engage", "lead_id": "L-1", "at": "2030-01-02T03:04:05Z", "score": 80, "ok": True, "none": None,
        "people": [{"name": "Ada Bo", "email": "a.b@x.example", "phone": "+49 30 123"}],
    }  # fmt: skip
    assert without_people(payload, words) == {
        **payload,
        "people": [{"name": "Xxx Xx", "email": "x.x@x.xxxxxxx", "phone": "+00 00 000"}],
    }


@given(st.text(max_size=60))
def test_a_disguise_keeps_the_shape_and_hides_every_letter_and_digit(text: str) -> None:
    hidden = disguised(text)
    assert len(hidden) == len(text)
    assert not any(char.isalpha() and char not in "xX" for char in hidden)
    assert not any(char.isdigit() and char != "0" for char in hidden)
    assert disguised(hidden) == hidden


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"format": "pointsman.case/1"}', "null"])
def test_what_is_no_case_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="case"):
        parse_case(text)


def test_a_key_that_is_no_text_survives() -> None:
    record = replace(scored(1), key=b"\xff\x00")
    read = parse_case(json.dumps(make_case("w", [pair(record, chooses("warm"))], CATALOGS, mask=True).to_json()))
    assert read.steps[0].record.key == b"\xff\x00"
