"""Reads the YAML file that describes a rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pointsman.catalog import Catalog
from pointsman.catalog_history import catalog_json
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.errors import ConfigurationError
from pointsman.rollouts.model import Rule, Version

_MAX_BYTES: Final = 64 * 1024
_REMEDY: Final = "docs/rollouts.md has a whole one"

Rate = Annotated[float, Field(ge=0, lt=1)]
Percent = Annotated[int, Field(ge=1, le=100)]


class CandidateSpec(BaseModel):
    """What is tried; at least one of the three."""

    model_config = ConfigDict(extra="forbid")

    catalog: str | None = None
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    prompt: str | None = None

    @model_validator(mode="after")
    def _names_something(self) -> CandidateSpec:
        if not (self.catalog or self.model or self.prompt):
            raise ValueError("name a catalog, a model or a prompt")
        return self


class RuleSpec(BaseModel):
    """When it is given up."""

    model_config = ConfigDict(extra="forbid")

    min_decisions: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    error_rate: Rate | None = None
    abstain_rate: Rate | None = None
    disagreement: Rate | None = None


class RolloutSpec(BaseModel):
    """A rollout as somebody wrote it.

    Attributes:
        name: what it is called; its id is made of it and of the time.
        candidate: what is tried.
        mode: whether it decides on a copy, or for a share of the workflows.
        percent: share of the workflows; in shadow all, as canary 10.
        roll_back_when: when it is given up.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    candidate: CandidateSpec
    mode: Literal["shadow", "canary"] = "shadow"
    percent: Percent | None = None
    roll_back_when: RuleSpec = Field(default_factory=RuleSpec)

    @property
    def share(self) -> int:
        """The share in percent, the default among them."""
        return self.percent or (100 if self.mode == "shadow" else 10)

    @property
    def rule(self) -> Rule:
        """The rule as it travels."""
        return Rule(**self.roll_back_when.model_dump())


def read_spec(path: Path) -> RolloutSpec:
    """Read the file at `path`.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    text = _text(path)
    try:
        return RolloutSpec.model_validate(YAML(typ="safe", pure=True).load(text))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path.name}{where} is not YAML", _REMEDY) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"{path.name}: {place}: {first['msg']}", _REMEDY) from None


def candidate_of(spec: RolloutSpec, folder: Path) -> tuple[Version, Catalog | None]:
    """What `spec` tries, and its catalog if it names one; paths in it begin at `folder`.

    Raises:
        ConfigurationError: a file or folder cannot be read.
        InvalidDefinitionsError: a definition is wrong.
    """
    said = spec.candidate
    catalog = Catalog.of(load_folder_or_raise(folder / said.catalog).definitions) if said.catalog else None
    if catalog is not None and not catalog.definitions:
        raise ConfigurationError(f"the candidate's catalog {said.catalog} holds no definition", _REMEDY)
    prompt = _text(folder / said.prompt) if said.prompt else None
    if prompt is not None and not prompt.strip():
        raise ConfigurationError(f"the candidate's prompt {said.prompt} is empty", _REMEDY)
    version = Version(model=said.model, prompt=prompt, agents=catalog_json(catalog) if catalog else None)
    return version, catalog


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(f"{path.name} has more than {_MAX_BYTES} bytes", _REMEDY)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {type(error).__name__}", _REMEDY) from None
