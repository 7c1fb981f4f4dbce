"""A small classifier that routes without a language model: as a first tier, or while no model answers."""

from pointsman.local_model.files import from_bytes, load, read_file, save, to_bytes
from pointsman.local_model.model import LocalModel

__all__ = ["LocalModel", "from_bytes", "load", "read_file", "save", "to_bytes"]
