"""Each mutation still finds what it switches off, and the test that must notice."""

from __future__ import annotations

import re

import pytest

from tests.mutations.__main__ import ROOT, mutated
from tests.mutations.catalogue import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.mechanism)
def test_a_mutation_changes_one_place_and_names_a_test_that_exists(mutation: Mutation) -> None:
    original = (ROOT / mutation.file).read_text()
    assert mutated(original, mutation) != original
    file, _, name = mutation.test.partition("::")
    assert re.search(rf"def {name}\(", (ROOT / file).read_text())


def test_what_no_longer_stands_there_is_refused() -> None:
    with pytest.raises(ValueError, match="has changed"):
        mutated("something else", MUTATIONS[0])
