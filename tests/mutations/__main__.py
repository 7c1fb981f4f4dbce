"""Switches one mechanism off at a time, in a copy of the tree, and shows that the named test notices.

python -m tests.mutations [WORD]     only those whose mechanism holds the word
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / ".pointsman" / "mutations.json"
_WITHIN_S: Final = 1200


def main(words: Sequence[str]) -> int:
    """Run the chosen mutations; 0 when each test was green before and red with it."""
    chosen = [one for one in MUTATIONS if all(word in one.mechanism for word in words)]
    results = {}
    with _copy_of_the_tree() as tree:
        for mutation in chosen:
            outcome = _outcome(tree, mutation)
            results[mutation.mechanism] = {**asdict(mutation), "outcome": outcome}
            sys.stdout.write(f"{mutation.mechanism}: {outcome} ({mutation.test})\n")
            sys.stdout.flush()
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**before, **results}, indent=2) + "\n", encoding="utf-8")
    return 0 if chosen and all(result["outcome"] == "red" for result in results.values()) else 1


def mutated(text: str, mutation: Mutation) -> str:
    """`text` with the mechanism switched off.

    Raises:
        ValueError: what is to be replaced does not stand there exactly once any more.
    """
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.mechanism}: {mutation.file} has changed; adapt tests/mutations/catalogue.py")
    return text.replace(mutation.old, mutation.new)


def _outcome(tree: Path, mutation: Mutation) -> str:
    """`red`, as it should be; otherwise what is wrong."""
    if _fails(tree, mutation) is not None:
        return "red also without the mutation"
    file = tree / mutation.file
    original = file.read_text(encoding="utf-8")
    file.write_text(mutated(original, mutation), encoding="utf-8")
    try:
        said = _fails(tree, mutation)
    finally:
        file.write_text(original, encoding="utf-8")
    if said is None:
        return "GREEN: the test does not notice"
    failing = [line.removeprefix(">").strip() for line in said.splitlines() if line.startswith(">")]
    is_right = any(line.startswith(mutation.red_for) for line in failing)
    return "red" if is_right else f"red for another reason:\n{said[-3000:]}"


def _fails(tree: Path, mutation: Mutation) -> str | None:
    """What the test said when it failed; None when it passed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        mutation.test,
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--tier",
        "critical",
    ]
    # Every process of the stack must import the copy, not what is installed.
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_WITHIN_S, check=False
    )
    return None if done.returncode == 0 else done.stdout + done.stderr


@contextmanager
def _copy_of_the_tree() -> Iterator[Path]:
    """All files that git knows or would take, and the jars."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    with tempfile.TemporaryDirectory(prefix="pointsman mutations ") as folder:
        tree = Path(folder) / "tree"
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, tree / name)
        (tree / ".pointsman").mkdir()
        (tree / ".pointsman" / "jars").symlink_to(ROOT / ".pointsman" / "jars")
        yield tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
