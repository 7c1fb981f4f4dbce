"""What PostgreSQL is asked for when the index connects, seen on the wire; the rest is in tests/contract."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.conninfo import conninfo_to_dict

from pointsman.errors import StoreUnavailableError
from pointsman.knowledge import retrieval
from pointsman.knowledge.pgvector_index import PgvectorIndex, _with_limits


def startup_of(*, may_write: bool, more: str = "") -> list[bytes]:
    """The fields of the first packet that libpq sends for the index."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        host, port = listener.getsockname()
        address = f"host={host} port={port} user=u dbname=d sslmode=disable gssencmode=disable {more}"
        index = PgvectorIndex(address, "hashed", may_write=may_write)
        asking = threads.submit(index.documents)
        listener.settimeout(20)
        with listener.accept()[0] as connection:
            packet = connection.recv(4096)
        with pytest.raises(StoreUnavailableError):
            asking.result(20)
    return packet[8:].split(b"\0")


def test_a_statement_of_a_search_is_given_up_by_the_server_before_the_search_is() -> None:
    assert b"-c statement_timeout=15000" in startup_of(may_write=False)
    assert retrieval._WITHIN_S > 15


def test_documents_are_written_for_as_long_as_it_takes() -> None:
    assert b"options" not in startup_of(may_write=True)


def test_what_the_address_says_itself_holds() -> None:
    fields = startup_of(may_write=False, more="options='-c search_path=knowledge'")
    assert b"-c statement_timeout=15000 -c search_path=knowledge" in fields
    assert conninfo_to_dict(_with_limits("host=h keepalives_idle=7", may_write=False))["keepalives_idle"] == "7"


@pytest.mark.parametrize("may_write", [False, True])
def test_a_connection_whose_server_is_gone_ends(*, may_write: bool) -> None:
    asked = conninfo_to_dict(_with_limits("host=h", may_write=may_write))
    assert {name: asked.get(name) for name in ("connect_timeout", "tcp_user_timeout")} == {
        "connect_timeout": "10", "tcp_user_timeout": "15000",
    }  # fmt: skip
    alive = ("keepalives_idle", "keepalives_interval", "keepalives_count")
    assert [asked.get(name) for name in alive] == ["30", "5", "3"]
