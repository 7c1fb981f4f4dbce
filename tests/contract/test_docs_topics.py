"""The documentation lists exactly the topics that exist, with their keys and retention."""

import re
from pathlib import Path

from pointsman import topics
from pointsman.topics import Topic

ROOT = Path(__file__).parents[2]


def kept(topic: Topic) -> str:
    return "compacted" if topic.compacted else f"{topic.retention_ms // topics.DAY_MS} days"


def test_docs_and_code_name_the_same_topics() -> None:
    text = (ROOT / "docs" / "messages.md").read_text()
    rows = re.findall(r"^\| `([\w.<>-]+)` \| ([\w ]+) \| [^|]+ \| (\d+ days|compacted) \|$", text, re.MULTILINE)
    inbox = topics.inbox_topic("x")
    expected = {(topic.name, topic.key, kept(topic)) for topic in topics.ALL}
    expected.add(("agents.<name>.inbox", inbox.key, kept(inbox)))
    assert set(rows) == expected
