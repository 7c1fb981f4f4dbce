"""What a definition says of the MCP servers whose tools its agent may use."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_SEPARATOR: Final = "__"

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,21}$")]
ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
# Without `user:password@`: a definition is read by many.
ServerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$", max_length=500)]
Argument = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ToolServer(BaseModel):
    """An MCP server, and which of its tools the agent's model may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: ServerName = Field(description="What the agent calls it; its tools reach the model as NAME__TOOL.")
    command: list[Argument] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        description="Program and arguments of a server over stdin and stdout.",
    )
    url: ServerUrl | None = Field(default=None, description="Address of a server over streamable HTTP.")
    allow: list[ToolName] = Field(
        min_length=1, max_length=50, description="Tools that may be used; the server's others are never offered."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=600, description="Seconds for one call of a tool.")
    environment: list[VariableName] = Field(
        default=[], max_length=50, description="Variables of the agent's process that the server gets, beside PATH etc."
    )

    @model_validator(mode="after")
    def _has_one_way_to_it(self) -> ToolServer:
        if (self.command is None) == (self.url is None):
            message = "a tool server has a command or a url, one of the two"
            raise ValueError(message)
        if self.url is not None and self.environment:
            message = "environment is for a command: a server at a url gets no variables"
            raise ValueError(message)
        if len(self.offered()) < len(self.allow):
            message = "allow names two tools that would reach the model under the same name: remove one"
            raise ValueError(message)
        return self

    def offered(self) -> dict[str, str]:
        """The allowed tools by the name under which the model gets them: at most 64 letters, digits, `_` and `-`."""
        return {f"{self.name}{_SEPARATOR}{tool.replace('.', '_')}": tool for tool in self.allow}
