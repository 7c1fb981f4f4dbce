"""Which document store the settings choose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pointsman.errors import ConfigurationError
from pointsman.settings import Settings
from pointsman.store import MongoStore
from pointsman.stores import open_store
from pointsman.testing import InMemoryStore


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *stores: str) -> None:
    """Have packages on the path that bring these stores: `name = module:callable`."""
    for number, store in enumerate(stores):
        told = folder / f"package_{number}-1.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: package-{number}\nVersion: 1\n")
        (told / "entry_points.txt").write_text(f"[pointsman.stores]\n{store}\n")
    (folder / "a_store_of_theirs.py").write_text(
        "from pointsman.testing import InMemoryStore\ndef opened(settings):\n    return InMemoryStore()\n"
    )
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


async def test_without_a_word_it_is_mongodb() -> None:
    store = open_store(Settings())
    assert isinstance(store, MongoStore)
    await store.close()


def test_another_package_brings_a_store_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "theirs = a_store_of_theirs:opened")
    assert isinstance(open_store(Settings(store="theirs")), InMemoryStore)


@pytest.mark.parametrize(
    ("stores", "said"),
    [
        ((), "no installed packages bring a store called theirs"),
        (("other = a_store_of_theirs:opened",), "mongodb, other"),
        (("theirs = a:b", "theirs = a:b"), "2 installed packages"),
        (("theirs = nowhere:opened",), "cannot be loaded: ModuleNotFoundError"),
        (("theirs = a_store_of_theirs:missing",), "cannot be loaded: AttributeError"),
    ],
)
def test_a_store_that_cannot_be_chosen_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: tuple[str, ...], said: str
) -> None:
    install(tmp_path, monkeypatch, *stores)
    with pytest.raises(ConfigurationError, match=said):
        open_store(Settings(store="theirs"))
