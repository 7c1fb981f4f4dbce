"""Tools of an agent's own model: those of MCP servers that its definition declares.

`session` is one open connection to one server, `connection` keeps one open while it works, `toolbox` is all that a
definition allows. The library `mcp` is imported when the first session opens: a process without tools never needs it.
"""

from pointsman.tools.toolbox import Toolbox, Tools, toolbox_of

__all__ = ["Toolbox", "Tools", "toolbox_of"]
