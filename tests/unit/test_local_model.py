"""The local model: what it sees, what it learns, when it is sure, and what it is kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.errors import ConfigurationError
from pointsman.evaluation.measures import binned, calibration_error
from pointsman.local_model import LocalModel, from_bytes, load, read_file, save, to_bytes
from pointsman.local_model.features import features, numbers
from pointsman.local_model.judging import changes, judged
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import NOBODY

AGENTS = ("parcels", "letters")
SUBJECTS = {
    "parcels": ["box", "crate", "pallet", "heavy", "parcel", "carton", "freight", "bulky"],
    "letters": ["stamp", "envelope", "postcard", "letter", "paper", "writing", "ink", "address"],
    NOBODY: ["weather", "lunch", "football", "holiday", "song", "garden", "cat", "film"],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def example(answer: str, number: int) -> Labelled:
    words = SUBJECTS[answer]
    text = f"{words[number % 8]} {words[(number * 3 + 1) % 8]} and {words[(number * 5 + 2) % 8]}, number {number}"
    payload = {"text": text, "weight": 50 + number if answer == "parcels" else number % 7, "order_id": str(number)}
    return Labelled(event_type="thing.brought", payload=payload, agents=AGENTS, answer=answer)


EXAMPLES = [example(answer, number) for answer in SUBJECTS for number in range(24)]


def trained(examples: Sequence[Labelled], **target: Any) -> LocalModel:
    # To import scikit-learn takes a second: only the process that trains pays for it.
    from pointsman.local_model.training import Target, train

    return train(examples, Target(**target))


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return from_bytes(to_bytes(trained(EXAMPLES)))


def choose_among(model: LocalModel, message: Labelled) -> Any:
    return model.choose(message.event_type, message.payload, message.agents)


def choose(model: LocalModel, text: str, **also: Any) -> Any:
    return model.choose("thing.brought", {"text": text, **also}, AGENTS)


def test_a_clear_message_is_chosen_for_with_a_reason(model: LocalModel) -> None:
    choice = choose(model, "a heavy pallet and a crate", weight=70)
    assert (choice.agent, choice.is_sure) == ("parcels", True)
    assert 0.5 <= choice.threshold <= choice.confidence <= 1
    assert choice.because


def test_what_belongs_to_nobody_is_not_acted_on(model: LocalModel) -> None:
    assert not choose(model, "football in the garden", weight=1).is_sure
    assert not choose(model, "qwxz vbnm", weight=3).is_sure


def test_what_holds_no_word_is_not_held_to_be_unknown(model: LocalModel) -> None:
    assert model.linear.known_share({"f:weight >= 3": 1}) == 1


def test_an_unknown_word_weighs_more_than_a_common_one(model: LocalModel) -> None:
    assert model.linear.known_share({"w:pallet": 1}) == 1
    assert 0 < model.linear.known_share({"w:and": 1, "w:qwxz": 1}) < 0.5
    assert model.linear.known_share({"w:qwxz": 1}) == 0


def test_it_is_never_sure_about_types_that_it_was_not_trained_on(model: LocalModel) -> None:
    choice = model.choose("thing.lost", {"text": "a heavy pallet and a crate", "weight": 70}, AGENTS)
    assert choice is not None
    assert not choice.is_sure


def test_it_chooses_only_among_the_candidates_it_is_given(model: LocalModel) -> None:
    choice = model.choose("thing.brought", {"text": "a heavy pallet and a crate"}, ["letters"])
    assert choice is not None
    assert choice.agent == "letters"
    assert not choice.is_sure


def test_a_candidate_that_it_does_not_know_leaves_it_without_a_choice(model: LocalModel) -> None:
    assert model.choose("thing.brought", {"text": "a heavy pallet"}, [*AGENTS, "newcomer"]) is None
    assert model.choose("thing.brought", {"text": "a heavy pallet"}, []) is None


@settings(deadline=None)
@given(payload=st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_no_payload_makes_it_fail(model: LocalModel, payload: dict[str, Any]) -> None:
    choice = model.choose("thing.brought", payload, AGENTS)
    assert choice is not None
    assert 0 <= choice.confidence <= 1


def test_what_no_agent_is_for_is_left_alone_though_nobody_labelled_such_messages() -> None:
    subjects = {
        **SUBJECTS,
        "returns": ["refund", "broken", "returned", "damaged", "back", "wrong", "claim", "complaint"],
    }
    subjects["pickups"] = ["pickup", "collect", "courier", "van", "driver", "doorstep", "slot", "fetch"]
    nobody, agents = subjects.pop(NOBODY), tuple(subjects)

    def said(words: Sequence[str], number: int, answer: str) -> Labelled:
        text = f"please {words[number % 8]} {words[(number * 3 + 1) % 8]} and {words[(number * 5 + 2) % 8]} today"
        return Labelled(event_type="thing.brought", payload={"text": text}, agents=agents, answer=answer)

    model = trained([said(words, number, agent) for agent, words in subjects.items() for number in range(24)])
    kept = [choose_among(model, said(words, 30, agent)) for agent, words in subjects.items()]
    left = [choose_among(model, said(nobody, number, NOBODY)) for number in range(8)]
    assert all(choice.is_sure for choice in kept)
    assert not any(choice.is_sure for choice in left)


def test_it_says_how_good_it_is_on_messages_that_it_has_not_seen(model: LocalModel) -> None:
    held_out = model.facts["held_out"]["all"]
    assert held_out["messages"] == len(EXAMPLES)
    assert held_out["right_agent"] > 0.9
    assert held_out["acted_on_right"] >= 0.95
    assert held_out["nobody_caught"] > 0.8


def blurred(number: int, chance: Random) -> Labelled:
    """A message some of whose words may be another agent's: no model is always right about it."""
    answer = AGENTS[number % 2]
    own, other = SUBJECTS[answer], SUBJECTS[AGENTS[1 - number % 2]]
    text = " ".join(chance.choice(own if chance.random() < 0.75 else other) for _ in range(4))
    return Labelled(event_type="thing.brought", payload={"text": text}, agents=AGENTS, answer=answer)


def test_how_sure_it_is_is_how_often_it_is_right_on_messages_that_it_has_not_seen() -> None:
    chance = Random(5)  # noqa: S311
    seen, new = ([blurred(number, chance) for number in range(400)] for _ in range(2))
    model = trained(seen)
    said = [(choose_among(model, each), each.answer) for each in new]
    right = [choice.agent == answer for choice, answer in said]
    bins = binned([(choice.confidence, choice.agent == answer) for choice, answer in said])
    assert 0.6 < sum(right) / len(right) < 0.9
    assert len(bins) >= 3
    assert (calibration_error(bins) or 0) < 0.06


def test_the_threshold_keeps_the_share_that_is_asked_for() -> None:
    kept = trained(EXAMPLES, keep=0.9, accuracy=None).facts["held_out"]["all"]["in_scope_kept"]
    assert 0.88 <= kept <= 0.95


def test_training_twice_makes_the_same_model() -> None:
    assert to_bytes(trained(EXAMPLES)) == to_bytes(trained(EXAMPLES))


@pytest.mark.parametrize("kept", [[], EXAMPLES[:24], EXAMPLES[:26]])
def test_too_little_to_train_on_is_said(kept: list[Labelled]) -> None:
    with pytest.raises(ConfigurationError, match="collect more labelled messages"):
        trained(kept)


def test_two_answers_are_enough() -> None:
    model = trained([each for each in EXAMPLES if each.answer != NOBODY] + [example(NOBODY, 1)] * 4, accuracy=0.6)
    assert choose(model, "a heavy pallet and a crate", weight=70).agent == "parcels"


def test_judging_says_which_messages_it_was_trained_on(model: LocalModel) -> None:
    found = judged(model, [*EXAMPLES[:10], example("letters", 99)])
    assert (found.seen, found.figures["messages"]) == (10, 11)
    assert found.figures["right_agent"] == 1


def test_what_another_model_would_do_otherwise_is_counted(model: LocalModel) -> None:
    shy = replace(model, thresholds={"thing.brought": 2.0})
    acts = sum(choose(model, **each.payload).is_sure for each in EXAMPLES)
    assert acts > 30
    assert changes(shy, model, EXAMPLES).newly_sure == acts
    assert changes(model, shy, EXAMPLES).no_longer_sure == acts
    assert changes(model, model, EXAMPLES).total == 0


def test_a_file_is_read_back_as_it_was(model: LocalModel, tmp_path: Path) -> None:
    saved = save(model, tmp_path / "a model.npz")
    again = load(tmp_path / "a model.npz")
    assert again.version == saved.version
    for each in EXAMPLES[:5]:
        assert choose(again, **each.payload) == choose(saved, **each.payload)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"cos\nsystem\n(S'true'\ntR.", b"{}"])
def test_what_is_no_local_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConfigurationError, match="local-model train"):
        read_file(tmp_path / "x")


def test_a_file_that_is_cut_short_is_refused(model: LocalModel) -> None:
    with pytest.raises(ConfigurationError, match="no local model"):
        from_bytes(to_bytes(model)[:-500])


def test_a_missing_file_and_one_that_is_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_file(tmp_path / "missing")
    (tmp_path / "large").write_bytes(bytes(9 * 1024 * 1024))
    with pytest.raises(ConfigurationError, match="at most"):
        read_file(tmp_path / "large")


def test_ids_and_the_end_of_long_texts_are_not_seen() -> None:
    seen = features("t", {"lead_id": "secret", "_id": "secret", "text": "a" * 5000 + " beyond"}, {})
    assert not [name for name in seen if "secret" in name or "beyond" in name]


def test_numbers_are_seen_by_where_they_make_a_difference() -> None:
    seen = features("t", {"score": 70, "inner": {"share": 0.5}}, {"score": [50, 80], "inner.share": [0.5]})
    assert {name for name in seen if ">=" in name} == {"f:score >= 50", "f:inner.share >= 0.5"}
    assert dict(numbers({"score": 70, "flag": True, "huge": 10**400})) == {"score": 70.0}
