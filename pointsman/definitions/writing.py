"""Definitions as YAML for a person to read."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import walk_tree


def to_yaml(data: Any) -> str:
    """Plain data as YAML; texts of several lines as literal blocks."""
    walk_tree(data)
    writer = YAML()
    writer.width = 120
    writer.indent(mapping=2, sequence=4, offset=2)
    buffer = io.StringIO()
    writer.dump(data, buffer)
    return buffer.getvalue()
