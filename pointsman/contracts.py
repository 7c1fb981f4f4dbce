"""Payload contracts: JSON Schema 2020-12, compiled once and asked often."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final

import jsonschema_rs

from pointsman.envelope import Payload
from pointsman.errors import ErrorReason, InvalidPayloadError

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class InvalidContractError(ValueError):
    """The schema itself is invalid.

    Attributes:
        path: where in the schema, as far as the validator says.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message, path)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return self.message


class Contract:
    """A compiled JSON Schema 2020-12.

    Args:
        schema: the schema.

    Raises:
        InvalidContractError: the schema itself is invalid, or refers to something outside itself.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        _ = self._validator

    @staticmethod
    def of(schema: dict[str, Any]) -> Contract | None:
        """The compiled contract, or None where `schema` is none: `apply` refuses it, a record may come another way."""
        try:
            return Contract(schema)
        except InvalidContractError:
            return None

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        try:
            return jsonschema_rs.Draft202012Validator(
                self.schema, validate_formats=True, registry=None, retriever=_refuse_reference
            )
        except jsonschema_rs.ValidationError as error:
            message = f"the contract is no JSON Schema 2020-12: {error.message}"
            raise InvalidContractError(message, tuple(error.instance_path)) from None
        except ValueError as error:
            message = f"the contract is no JSON Schema 2020-12: {error}"
            raise InvalidContractError(message) from None

    def violation(self, payload: Payload) -> str | None:
        """Where and why `payload` breaks the contract, without any value of it; None when it keeps it."""
        try:
            error = next(self._validator.iter_errors(payload), None)
        except ValueError:
            return "the payload breaks the validator's limits: nested too deeply, or not Unicode"
        if error is None:
            return None
        where = "/".join(_plain(part) for part in error.instance_path) or "the payload"
        rule = "/".join(str(part) for part in error.schema_path)
        return f"{where} breaks {rule}"

    def check(self, payload: Payload) -> None:
        """Pass silently when `payload` keeps the contract.

        Raises:
            InvalidPayloadError: it does not; the text names the place and the rule, never a value.
        """
        violation = self.violation(payload)
        if violation:
            raise InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, violation)


def _plain(part: str | int) -> str:
    # A property name comes from outside too: an address can stand in it.
    text = str(part)
    return text if _PLAIN_NAME.fullmatch(text) else "?"


def _refuse_reference(uri: str) -> Any:
    message = f"the contract refers to {uri}: contracts are self-contained, put it under $defs"
    raise ValueError(message)
