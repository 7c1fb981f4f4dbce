"""Topic names are made and read in one place."""

import pytest

from pointsman import topics


def test_an_inbox_name_gives_its_agent_back() -> None:
    assert topics.agent_of(topics.inbox("lead_scoring")) == "lead_scoring"


@pytest.mark.parametrize("name", ["agent_messages", "agents..inbox", "agents.Big.inbox", "agents.a.b.inbox"])
def test_other_topics_are_nobodys_inbox(name: str) -> None:
    assert topics.agent_of(name) is None


def test_the_catalog_is_kept_for_ever_in_one_partition() -> None:
    definitions = next(topic for topic in topics.ALL if topic.name == topics.DEFINITIONS)
    assert definitions.config["cleanup.policy"] == "compact"
    assert definitions.partitions == 1


def test_names_are_unique() -> None:
    assert len({topic.name for topic in topics.ALL}) == len(topics.ALL)
