"""Errors survive pickling between Flink's processes and say what to do next."""

import pickle

import pytest

from pointsman.definitions import Problem
from pointsman.errors import (
    ConfigurationError,
    ErrorReason,
    InvalidDefinitionsError,
    InvalidPayloadError,
    ModelAnswerError,
    ModelUnavailableError,
    PointsmanError,
)


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailableError("the model answered 429", 7),
        InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, "score breaks maximum"),
        ModelAnswerError("no JSON"),
        ConfigurationError("port 9092 is taken", "choose another with --port"),
        InvalidDefinitionsError([Problem(path="a.yaml", line=3, column=5, message="unknown key")]),
    ],
)
def test_an_error_survives_pickling(error: PointsmanError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_configuration_error_names_its_remedy() -> None:
    assert str(ConfigurationError("port 9092 is taken", "choose another")) == "port 9092 is taken; choose another"


def test_a_problem_names_file_line_and_column() -> None:
    assert str(Problem(path="a.yaml", line=3, column=5, message="unknown key")) == "a.yaml:3:5: error: unknown key"
