"""A local model as one file: numpy arrays and JSON, and nothing that runs when it is read (no pickle)."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from pointsman.errors import ConfigurationError
from pointsman.local_model.features import GROUPS
from pointsman.local_model.model import Calibration, Linear, LocalModel

FORMAT: Final = 3
"""1 knew three signs of how sure a choice is, and not four; 2 held each unknown word for as telling as a known one."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""Largest file: it travels inside the job's graph."""
_TRAIN: Final = "train one with `pointsman local-model train`"


def to_bytes(model: LocalModel) -> bytes:
    """The file's content; `from_bytes` reads it back."""
    linear = model.linear
    told = {
        "format": FORMAT,
        "classes": linear.classes,
        "features": list(linear.vocabulary),
        "cuts": {path: list(cuts) for path, cuts in linear.cuts.items()},
        "calibration": {"coefficients": model.calibration.coefficients, "intercept": model.calibration.intercept},
        "thresholds": dict(model.thresholds),
        "facts": dict(model.facts),
    }
    text = np.frombuffer(json.dumps(told, ensure_ascii=False).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, told=text, idf=linear.idf, weights=linear.weights, bias=linear.bias)
    return buffer.getvalue()


def from_bytes(content: bytes) -> LocalModel:
    """Read a file's content.

    Raises:
        ConfigurationError: it is no local model of this version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            told: dict[str, Any] = json.loads(arrays["told"].tobytes())
            idf, weights, bias = (arrays[name].astype(np.float32) for name in ("idf", "weights", "bias"))
        model = _model(content, told, idf, weights, bias)
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"that is no local model ({type(error).__name__})", _TRAIN) from None
    return model


def load(path: Path) -> LocalModel:
    """Read a local model.

    Raises:
        ConfigurationError: there is no such file, or it holds no local model.
    """
    return from_bytes(read_file(path))


def read_file(path: Path) -> bytes:
    """The bytes of a local model's file, checked to be one.

    Raises:
        ConfigurationError: there is no such file, it is too large, or it holds no local model.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the local model {path} cannot be read: {error.strerror}", _TRAIN) from None
    if len(content) > MAX_BYTES:
        what = f"the local model {path} has {len(content)} bytes, at most {MAX_BYTES} are shipped"
        raise ConfigurationError(what, "train one with a smaller --most-features")
    try:
        from_bytes(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.what}", error.remedy) from None
    return content


def save(model: LocalModel, path: Path) -> LocalModel:
    """Write a local model; what stands there is replaced. The model as it is read back.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    content = to_bytes(model)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", "choose another --output") from None
    return from_bytes(content)


def _model(content: bytes, told: dict[str, Any], idf: Any, weights: Any, bias: Any) -> LocalModel:
    names: list[str] = told["features"]
    classes = tuple(told["classes"])
    if told["format"] != FORMAT or weights.shape != (len(names), len(classes)) or len(idf) != len(names):
        message = "another format"
        raise ValueError(message)
    kinds = {kind: index for index, kind in enumerate(GROUPS)}
    linear = Linear(
        classes=classes,
        vocabulary={name: column for column, name in enumerate(names)},
        idf=idf,
        groups=np.array([kinds[name[0]] for name in names], dtype=np.int8),
        weights=weights,
        bias=bias.reshape(len(classes)),
        cuts=told["cuts"],
    )
    said = told["calibration"]
    return LocalModel(
        version=hashlib.sha256(content).hexdigest()[:12],
        linear=linear,
        calibration=Calibration(coefficients=tuple(said["coefficients"]), intercept=said["intercept"]),
        thresholds=told["thresholds"],
        facts=told["facts"],
    )
