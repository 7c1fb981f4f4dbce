"""Tools in the chat-completions API: how they are offered, how past rounds are told, what the model asks for."""

from __future__ import annotations

from typing import Any, Final

from pointsman.models.port import ChatRequest, ToolCall, ToolOffer, ToolRound

_MOST_CALLS: Final = 16
"""In one answer; what is more is left out, and the model sees that only so many were answered."""


def offer_arguments(request: ChatRequest) -> dict[str, Any]:
    """What a request's body says of its tools; nothing without tools."""
    if not request.tools:
        return {}
    # With `none` instead of no tools at all: servers refuse past calls of tools that the request does not name.
    choice = "auto" if request.may_call else "none"
    return {"tools": [_offer(tool) for tool in request.tools], "tool_choice": choice}


def round_turns(rounds: tuple[ToolRound, ...]) -> list[dict[str, Any]]:
    """Past rounds as turns: the model's calls, then a turn for each result."""
    turns: list[dict[str, Any]] = []
    for one in rounds:
        turns.append({"role": "assistant", "content": None, "tool_calls": [_call(call) for call in one.calls]})
        turns += [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(one.calls, one.results, strict=True)
        ]
    return turns


def read_calls(message: Any) -> tuple[ToolCall, ...]:
    """The calls of an answer's message, which may be anything; what is no call is left out."""
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    read = [_read_call(call) for call in calls[:_MOST_CALLS]] if isinstance(calls, list) else []
    return tuple(call for call in read if call is not None)


def _read_call(call: Any) -> ToolCall | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return None
    said = (call.get("id"), function.get("name"), function.get("arguments"))
    identity, name, arguments = (text if isinstance(text, str) else "" for text in said)
    return ToolCall(id=identity, name=name, arguments=arguments) if identity and name else None


def _offer(tool: ToolOffer) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
