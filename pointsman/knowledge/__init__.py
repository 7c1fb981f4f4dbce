"""Retrieval for agents: the team's own documents in passages, found by meaning and by words, cited by name."""

from pointsman.knowledge.port import NO_KNOWLEDGE, Passage, Retriever

__all__ = ["NO_KNOWLEDGE", "Passage", "Retriever"]
