"""The JSON Schema of the definition format, for editors: `agent_definitions/agent.schema.json`.

Made from the same models and words that the loader checks with. `python -m pointsman.definitions.schema` prints it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from pointsman.definitions import keywords
from pointsman.definitions.model import AgentDefinition

FILE_NAME: Final = "agent.schema.json"
_CONTRACT: Final = {"$ref": "#/$defs/contract"}


def agent_schema() -> dict[str, Any]:
    """The schema of one definition file."""
    schema = _without_titles(AgentDefinition.model_json_schema())
    parts = schema.pop("$defs")
    for part in ("Accepts", "Emits"):
        told = parts[part]["properties"]["contract"]["description"]
        parts[part]["properties"]["contract"] = {**_CONTRACT, "description": told}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # what editors for YAML read
        "title": "Pointsman agent definition",
        **schema,
        "$defs": {**parts, "contract": _contract_schema()},
    }


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(agent_schema(), indent=2, ensure_ascii=False) + "\n"


def _contract_schema() -> dict[str, Any]:
    """The words of JSON Schema 2020-12; what their values may be is left to the loader."""
    one: dict[str, Any] = {"anyOf": [_CONTRACT, {"type": "boolean"}]}
    words: dict[str, Any] = {
        **{word: True for word in keywords.PLAIN},
        **{word: one for word in keywords.ONE_SCHEMA},
        **{word: {"type": "array", "items": one} for word in keywords.SCHEMA_LIST},
        **{word: {"type": "object", "additionalProperties": one} for word in keywords.SCHEMAS_BY_NAME},
    }
    names = {"enum": list(keywords.TYPES)}
    words["type"] = {"anyOf": [names, {"type": "array", "items": names, "minItems": 1}]}
    words["format"] = {"enum": sorted(keywords.FORMATS)}
    words["required"] = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "description": "JSON Schema 2020-12, self-contained.",
        "properties": dict(sorted(words.items())),
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }


def _without_titles(value: Any) -> Any:
    # pydantic names every field a second time; in an editor's tooltip that is noise.
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if not (name == "title" and isinstance(part, str))}
        return {name: _without_titles(part) for name, part in kept.items()}
    return [_without_titles(part) for part in value] if isinstance(value, list) else value


def main() -> None:
    """Print the schema."""
    sys.stdout.write(schema_text())


if __name__ == "__main__":
    main()
