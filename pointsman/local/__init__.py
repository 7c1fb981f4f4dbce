"""The local stack: real Kafka, MongoDB, Connect, Flink and SMTP on this machine, supervised, without containers."""

from pointsman.local.options import StackOptions
from pointsman.local.stack import LocalStack

__all__ = ["LocalStack", "StackOptions"]
