"""Chat models behind one port; the router and the agents know nothing else of them."""

from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest, ToolCall, ToolOffer, ToolRound

__all__ = ["ChatAnswer", "ChatModel", "ChatRequest", "ToolCall", "ToolOffer", "ToolRound"]
