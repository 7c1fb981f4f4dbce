"""The archive's files: read with bounds, beside Kafka, erased from, and deleted by whole days."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flink_jobs.sql_files import archive_statements
from pointsman.archive.erasing import is_about
from pointsman.archive.files import Archive
from pointsman.archive.options import ARCHIVED, ArchiveOptions
from pointsman.archive.reading import together
from pointsman.cli import archive as archive_command
from pointsman.errors import ConfigurationError
from pointsman.settings import Settings
from pointsman.topics import DECISIONS, ERRORS, MESSAGES
from tests.archived import record, write

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_record_comes_back_with_all_it_had(tmp_path: Path) -> None:
    whole = record(7, NOON, partition=3, key=b"\x00k", value=b"\xff\x00", headers={"ce_id": b"\xfe", "empty": b""})
    bare = record(8, NOON, key=None, value=None)
    write(tmp_path, [whole, bare])
    assert list(Archive(tmp_path).records(MESSAGES)) == [whole, bare]


def test_a_header_without_a_value_is_an_empty_one_as_from_kafka(tmp_path: Path) -> None:
    write(tmp_path, [record(7, NOON, headers={"none": None})])
    (found,) = Archive(tmp_path).records(MESSAGES)
    assert found.headers == {"none": b""}


def test_files_come_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    write(tmp_path, [record(3, NOON)], "part-b-0-10", written_s=5)
    write(tmp_path, [record(2, NOON)], "part-b-0-9", written_s=5)
    write(tmp_path, [record(1, NOON)], "part-z-0-0", written_s=4)
    write(tmp_path, [record(0, NOON - DAY)], "part-z-0-11", written_s=9)
    assert [one.offset for one in Archive(tmp_path).records(MESSAGES)] == [0, 1, 2, 3]


def test_only_the_topic_and_the_time_that_were_asked_for_are_read(tmp_path: Path) -> None:
    write(tmp_path, [record(1, NOON), record(2, NOON + DAY / 4), record(3, NOON + DAY / 3)])
    for elsewhere in (record(4, NOON - DAY), record(5, NOON + DAY), record(6, NOON, topic=DECISIONS)):
        write(tmp_path, [elsewhere]).write_bytes(b"no Avro: whoever opens it fails")
    found = Archive(tmp_path).records(MESSAGES, NOON + DAY / 4, NOON + DAY / 3)
    assert [one.offset for one in found] == [2]


def test_what_is_no_file_of_the_archive_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, [record(1, NOON)])
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ConfigurationError, match="part-0-0 is no file of the archive"):
        list(Archive(tmp_path).records(MESSAGES))


def test_files_that_are_being_written_and_foreign_folders_are_left_out(tmp_path: Path) -> None:
    day = write(tmp_path, [record(1, NOON)]).parent
    (day / ".part-0-1.inprogress.1").write_bytes(b"half")
    (day.parent / "day=today").mkdir()
    (tmp_path / "lost+found").mkdir()
    archive = Archive(tmp_path)
    assert [one.offset for one in archive.records(MESSAGES)] == [1]
    assert archive_command.rows(archive.days()) == [
        {"topic": MESSAGES, "day": "2030-01-02", "files": 1, "bytes": (day / "part-0-0").stat().st_size}
    ]


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no archive"):
        Archive(tmp_path / "nowhere")


def test_of_archive_and_kafka_each_record_comes_once() -> None:
    archived = [record(1, NOON), record(2, NOON), record(1, NOON), record(2, NOON, partition=1)]
    live = [record(2, NOON), record(3, NOON)]
    found = [(one.partition, one.offset) for one in together(archived, live)]
    assert found == [(0, 1), (0, 2), (1, 2), (0, 3)]


def test_offsets_that_began_anew_with_a_new_topic_are_other_records() -> None:
    before, after = record(1, NOON), record(1, NOON + DAY)
    assert list(together([before], [after])) == [before, after]


def test_whatever_is_about_a_person_is_taken_out_and_the_rest_stays(tmp_path: Path) -> None:
    other = record(9, NOON, key=b"other", value=b'{"lead_id": "other"}', headers={"ce_workflowid": b"other"})
    about = [
        record(1, NOON, key=b"lead-1"),
        record(2, NOON, headers={"ce_workflowid": b"lead-1"}),
        record(3, NOON, value=b'{"lead_id": "lead-1"}'),
    ]
    decision = record(4, NOON, topic=DECISIONS, value=json.dumps({"workflow_id": "lead-1"}).encode())
    letter = record(5, NOON, topic=ERRORS, value=b'{"_id": "lead-1", "email": "x"}')
    first = write(tmp_path, [about[0], other, *about[1:]], "part-0-0", written_s=7)
    for one in (decision, letter):
        write(tmp_path, [one])
    archive = Archive(tmp_path)

    assert archive.without(is_about(["lead-1"])) == 5
    assert [one for day in ARCHIVED for one in archive.records(day)] == [other]
    assert first.stat().st_mtime == 7
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert archive.without(is_about(["lead-1"])) == 0


@pytest.mark.parametrize("value", [b"\xff", b"[1]", b'{"lead_id": ["lead-1"]}', b'{"x": "lead-1"}', None])
def test_values_that_name_nobody_are_kept(tmp_path: Path, value: bytes | None) -> None:
    write(tmp_path, [record(1, NOON, value=value)])
    assert Archive(tmp_path).without(is_about(["lead-1"])) == 0


def test_days_are_overdue_and_deleted_as_a_whole(tmp_path: Path) -> None:
    old = write(tmp_path, [record(1, NOON - 11 * DAY)]).parent
    (old / ".part-0-1.inprogress.1").write_bytes(b"left behind")
    for age in (10, 0):
        write(tmp_path, [record(2, NOON - age * DAY)])
    archive = Archive(tmp_path)
    (day,) = archive.overdue(NOON.date(), 10)
    assert (day.topic, day.day) == (MESSAGES, date(2029, 12, 22))
    archive.drop(day)
    assert not old.exists()
    assert len(archive.days()) == 2


def test_the_job_reads_back_what_it_is_told() -> None:
    told = ArchiveOptions(kafka_bootstrap="k:9092", directory="/a b/it's", checkpoint_interval_ms=5)
    assert ArchiveOptions.parse(told.arguments()) == ArchiveOptions.from_parameters(told.parameters()) == told
    source, files, insert = archive_statements(told)
    assert f"'topic' = '{';'.join(ARCHIVED)}'" in source
    assert "'path' = '/a b/it''s'" in files
    assert insert.startswith("INSERT INTO archive")
    assert not any("${" in text for text in (source, files, insert))


def test_a_login_of_the_jobs_own_is_named_and_not_held() -> None:
    told = ArchiveOptions(
        kafka_bootstrap="k:9092", directory="/a", kafka_security_protocol="SASL_SSL", kafka_login_dir="/it's"
    )
    source, *_ = archive_statements(told)
    place = "${login:/it''s:pointsman_kafka_sasl_"
    assert f"""required username="{place}username}}" password="{place}password}}";',""" in source
    assert "'properties.config.providers.login.param.allowed.paths' = '/it''s'," in source


@pytest.mark.parametrize(
    ("state", "checkpoints"),
    [("", ""), ("/a b/state", "file:///a b/state/checkpoints"), ("s3a://b/state", "s3a://b/state/checkpoints")],
)
def test_the_jobs_state_has_a_place_that_flink_takes(state: str, checkpoints: str) -> None:
    told = ArchiveOptions(kafka_bootstrap="k:9092", directory="/a", state=state)
    assert told.checkpoints == checkpoints


def told_by(*words: str) -> ArchiveOptions:
    to, state = words
    return archive_command.job_options(Settings(archive_dir=Path("/data/archive")), to or None, state or None)


def test_where_nothing_else_is_said_files_go_where_the_settings_have_them_and_state_beside_them() -> None:
    default = told_by("", "")
    assert (default.directory, default.state) == ("/data/archive", "/data/archive.state")
    bucket = told_by("s3a://b/files", "")
    assert (bucket.directory, bucket.state) == ("s3a://b/files", "s3a://b/files.state")
    assert told_by("", "here").state == str(Path("here").absolute())


def test_without_a_place_for_the_files_the_job_is_not_started() -> None:
    with pytest.raises(ConfigurationError, match="no archive is named"):
        archive_command.job_options(Settings(archive_dir=None), None, None)
