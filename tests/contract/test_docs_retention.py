"""The documentation says of each tier exactly how long it keeps what."""

import re
from pathlib import Path

from pointsman.retention_work import table
from pointsman.topics import ALL

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_docs_and_code_keep_the_same_for_as_long() -> None:
    rows = re.findall(r"^\| (hot|warm|cold) \| `([\w.-]+)` \| ([\w ]+) \|$", PAGE, re.MULTILINE)
    assert rows == [(one.tier, one.what, one.days) for one in table(ALL)]
