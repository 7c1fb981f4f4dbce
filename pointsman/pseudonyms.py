"""Takes people out of payloads without changing their shape, so that contracts decide on them as before. Pure.

Letters become `x`, digits become `0`, everything else stays: an address stays an address, a text keeps its length, and
`additionalProperties`, lengths and most patterns hold. Words of the contracts themselves (enums, constants), ids and
times stay, since decisions hang on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pointsman.catalog import Catalog
from pointsman.envelope import from_rfc3339

_WORDS_OF: Final = frozenset({"enum", "const"})


def vocabulary(catalogs: Iterable[Catalog]) -> frozenset[str]:
    """Every word that a contract names as a value, and every agent's name: none of them is about a person."""
    found: set[str] = set()
    for catalog in catalogs:
        found |= set(catalog.definitions)
        for definition in catalog.definitions.values():
            contracts = [entry.contract for entry in definition.accepts] + [one.contract for one in definition.emits]
            found |= {word for contract in contracts for word in _words(contract)}
    return frozenset(found)


def without_people(value: Any, words: frozenset[str], name: str = "") -> Any:
    """`value` with every text in it disguised that may be about a person.

    Args:
        value: a payload, or a part of one.
        words: what is kept as it is, see `vocabulary`.
        name: the property that holds it.
    """
    if isinstance(value, Mapping):
        return {key: without_people(inner, words, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_people(inner, words, name) for inner in value]
    if not isinstance(value, str) or value in words or _is_id(name) or _is_time(value):
        return value
    return disguised(value)


def disguised(text: str) -> str:
    """`text` in its shape only."""
    return "".join(
        "X" if char.isupper() else "x" if char.isalpha() else "0" if char.isdigit() else char for char in text
    )


def _words(schema: Any, *, inside: bool = False) -> Iterable[str]:
    if isinstance(schema, str):
        return [schema] if inside else []
    if isinstance(schema, Mapping):
        return [word for key, inner in schema.items() for word in _words(inner, inside=inside or key in _WORDS_OF)]
    if isinstance(schema, list):
        return [word for inner in schema for word in _words(inner, inside=inside)]
    return []


def _is_id(name: str) -> bool:
    return name in {"id", "_id"} or name.endswith("_id")


def _is_time(text: str) -> bool:
    try:
        from_rfc3339(text)
    except (ValueError, OverflowError):
        return False
    return True
