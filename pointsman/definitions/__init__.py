"""Agent definitions: the declarative contract of one agent, read from YAML.

`model` says what a definition holds, `loader` reads files with line and column, `checks` compares definitions with
each other, `schema` writes the JSON Schema that editors complete from.
"""

from pointsman.definitions.model import Accepts, AgentDefinition, Emits, Limits, ModelChoice
from pointsman.definitions.problems import Problem
from pointsman.definitions.tool_servers import ToolServer

__all__ = ["Accepts", "AgentDefinition", "Emits", "Limits", "ModelChoice", "Problem", "ToolServer"]
