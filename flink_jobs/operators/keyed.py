"""Keys a stream without a Python operator.

PyFlink's `key_by` runs the key selector in a Python operator of its own: one more hop for every record, and in process
mode two operators that share a worker, which Flink 2.3 does not survive (when the worker dies, the TaskManager exits:
"Reference count must not be negative"). Where SQL has worked the key out already, Java's own selector is enough.
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.common.typeinfo import TypeInformation
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway


def keyed_by_first_column(
    stream: DataStream, key_type: TypeInformation, record_type: TypeInformation, *more: DataStream
) -> KeyedStream:
    """`stream` of rows (key, record), keyed by the key; operators see only the record.

    Args:
        stream: rows of two columns.
        key_type: type of the key.
        record_type: type of the record.
        more: further streams of the same rows.
    """
    row = Types.ROW([key_type, record_type]).get_java_type_info()
    # What PyFlink's `key_by` makes of its stream once it has put the key before the record.
    for one in (stream, *more):
        # A table's stream says only that its type is the table's; the Python operators want to know it as a row.
        one._j_data_stream.getTransformation().setOutputType(row)  # noqa: SLF001
    if more:
        stream = stream.union(*more)
    java_stream = stream._j_data_stream  # noqa: SLF001
    selector = get_gateway().jvm.KeyByKeySelector()
    keyed = java_stream.keyBy(selector, Types.ROW([key_type]).get_java_type_info())
    return KeyedStream(keyed, record_type, stream)
