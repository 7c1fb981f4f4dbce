"""Texts as vectors by a server that speaks OpenAI's API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import stamina

from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.knowledge.embedding import BATCH, KNOWS_MEANING, LONGEST_TEXT, OPENAI, unit_length
from pointsman.models.completions_http import OPENAI as OPENAI_ADDRESS
from pointsman.models.embeddings_http import EmbeddingsHttp
from pointsman.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_BATCH_TIMEOUT_S: Final = 60.0
"""No message waits for a command; a server without a graphics card takes its time for 64 passages."""
_BATCH_ATTEMPTS: Final = 3
_LONGEST_PAUSE_S: Final = 60.0
"""What a server may ask for between two tries; whoever adds documents comes again later rather than wait for longer."""


class OpenAIEmbeddings:
    """A model of OpenAI, or of a server that speaks its API (`OPENAI_BASE_URL`).

    Args:
        model: the model's name.
        settings: key, address, and how long a message may wait.
        message_waits: short time and one try, as whoever handles the message tries again; a command has more of both.

    Raises:
        ConfigurationError: neither a key nor an address is set.
    """

    def __init__(self, model: str, settings: Settings, *, message_waits: bool = False) -> None:
        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
        if not key and not settings.openai_base_url:
            raise ConfigurationError("there is no embedding server to ask", "set OPENAI_API_KEY or OPENAI_BASE_URL")
        self.name = f"{OPENAI}{model}"
        self.weight = KNOWS_MEANING
        self._timeout_s = settings.model_timeout_s
        self._vectors = self._at_once if message_waits else self._patiently
        # A server of one's own mostly does not look at the key; some insist that there is one.
        self._http = EmbeddingsHttp(model, key or "not-needed", settings.openai_base_url or OPENAI_ADDRESS)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text.

        Raises:
            ModelUnavailableError: the server does not answer.
            ModelAnswerError: the server refuses the texts.
            ModelRefusedError: the server's content filter declines them.
            ConfigurationError: key, model name or address is wrong.
        """
        asked = [text[:LONGEST_TEXT] or " " for text in texts]
        return _rows([vector for batch in _batches(asked) for vector in self._vectors(batch)])

    def close(self) -> None:
        """Give connections back."""
        self._http.close()

    def _at_once(self, batch: Sequence[str]) -> list[Any]:
        return self._http.vectors(batch, self._timeout_s)

    def _patiently(self, batch: Sequence[str]) -> list[Any]:
        # Not a decorator: stamina would log the arguments.
        for attempt in stamina.retry_context(on=_wait_before_next, attempts=_BATCH_ATTEMPTS, timeout=None):
            with attempt:
                return self._http.vectors(batch, max(self._timeout_s, _BATCH_TIMEOUT_S))
        never = "stamina tries at least once"
        raise AssertionError(never)


def _wait_before_next(error: Exception) -> bool | float:
    if not isinstance(error, ModelUnavailableError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s <= _LONGEST_PAUSE_S else False


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def _rows(vectors: Sequence[Any]) -> Vectors:
    import numpy as np

    try:
        rows = np.array(vectors, dtype=np.float32)
    except (ValueError, TypeError):
        rows = np.zeros(0, dtype=np.float32)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise ModelUnavailableError("the embedding server answered with vectors that are none")
    return unit_length(rows)
