"""Account news: what a news file says of a company. A task of `account_research`.

The file is a JSON Feed (version 1.1, https://jsonfeed.org): items with `title`, `content_text` and `date_published`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from agents.sdr.declared import DeclaredSettings, declared
from agents.sdr.facts import Fact
from pointsman.envelope import Envelope
from pointsman.errors import ErrorReason, PermanentError
from pointsman.plaintext import one_line, without_addresses
from pointsman.runtime import AgentContext, Reply

_ROOT: Final = Path(__file__).parents[1]
_FACT_CHARS: Final = 500


class NewsSettings(DeclaredSettings):
    """What `account_news.yaml` sets."""

    file: str = Field(min_length=1)
    most_items: int = Field(default=5, ge=1, le=20)


def build(context: AgentContext) -> AccountNews:
    """The agent, as its definition declares it."""
    settings = declared(NewsSettings, context.definition)
    # Joining with an absolute path leaves that as it is.
    return AccountNews(file=_ROOT / settings.file, most_items=settings.most_items)


@dataclass(frozen=True, kw_only=True)
class AccountNews:
    """Answers `account.news_requested` with `account.news_read`."""

    file: Path
    most_items: int

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Look for the company in the news.

        Raises:
            PermanentError: the file cannot be read, or is no JSON Feed.
        """
        items = await asyncio.to_thread(self._items)
        found = [item for item in items if message.payload["company"].casefold() in _text(item).casefold()]
        latest = sorted(found, key=lambda item: str(item.get("date_published", "")), reverse=True)[: self.most_items]
        return [Reply(event_type="account.news_read", payload={"facts": _facts(latest)})]

    def _items(self) -> list[dict[str, Any]]:
        try:
            items = json.loads(self.file.read_text(encoding="utf-8"))["items"]
            return [item for item in items if isinstance(item, dict)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            detail = f"the news file of account_news.yaml cannot be read ({type(error).__name__})"
            raise PermanentError(ErrorReason.AGENT_FAULT, detail) from None


def _text(item: dict[str, Any]) -> str:
    return f"{item.get('title', '')} {item.get('content_text', '')}"


def _facts(items: Iterable[dict[str, Any]]) -> list[Fact]:
    texts = (f"{str(item.get('date_published', ''))[:10]} {_text(item)}" for item in items)
    return [{"fact": without_addresses(one_line(text, _FACT_CHARS)), "source": "news"} for text in texts]
