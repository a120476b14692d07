"""The cache beside the runs: it saves reading, and changes nothing."""

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from wider.runs import Store, execute

INDEX = "index.sqlite"


FILES = ["spec.json", "history.parquet", "model.safetensors", "result.json"]
OPENED: list[Path] = []  # of those files, by whatever function


def _note(event, arguments):
    if event == "open" and isinstance(arguments[0], str | os.PathLike):
        path = Path(arguments[0])
        if path.name in FILES:
            OPENED.append(path)


sys.addaudithook(_note)  # for good: a hook cannot be removed


@pytest.fixture
def reads(finished):
    """Notes each file of a run that is opened."""
    OPENED.clear()
    return OPENED


def test_what_was_read_once_is_not_read_again(filled, finished, reads):
    assert filled.runs(pytest.fail) == [finished[1]]
    assert len(reads) == 4
    assert Store(filled.path).runs(pytest.fail) == [finished[1]]
    assert len(reads) == 4


def test_the_index_gives_the_run_that_reading_gives(filled, spec):
    filled.runs(pytest.fail)
    (indexed,) = filled.runs(pytest.fail)
    read = filled.read(spec)
    assert read is not None
    assert repr(indexed) == repr(read)  # every digit, and the layers in their order


@pytest.mark.parametrize("name", FILES)
def test_damage_after_the_run_was_indexed_is_found(filled, spec, name):
    filled.runs(pytest.fail)
    path = filled.folder(spec) / name
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had happened
    damages = []
    assert filled.runs(damages.append) == []
    assert len(damages) == 1
    assert name in damages[0]


def test_a_run_that_is_gone_is_gone(filled, spec):
    filled.runs(pytest.fail)
    shutil.rmtree(filled.folder(spec))
    assert filled.runs(pytest.fail) == []


def test_a_new_run_is_found_beside_indexed_ones(filled, finished, make_spec, reads):
    filled.runs(pytest.fail)
    new = execute(make_spec(seed=1), filled)
    del reads[:]
    assert set(map(repr, filled.runs(pytest.fail))) == {repr(finished[1]), repr(new)}
    assert {path.parent.name for path in reads} == {new.spec.key}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(path.with_name("moved")), path.symlink_to("moved")),
    ],
    ids=["removed", "empty", "text", "torn", "folder", "pipe", "link"],
)
def test_without_its_index_a_store_holds_the_same(filled, finished, damage):
    filled.runs(pytest.fail)
    damage(filled.path / INDEX)
    for _ in range(2):
        assert Store(filled.path).runs(pytest.fail) == [finished[1]]


def test_no_byte_of_an_index_can_be_flipped_to_another_number(filled, finished):
    filled.runs(pytest.fail)
    path = filled.path / INDEX
    content = path.read_bytes()
    for position in range(0, len(content), 61):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert filled.runs(pytest.fail) == [finished[1]]


@pytest.mark.parametrize("column", ["content", "signature", "digest"])
def test_an_edited_row_is_not_believed(filled, finished, column):
    filled.runs(pytest.fail)
    with sqlite3.connect(filled.path / INDEX) as connection:
        connection.execute(f"UPDATE known SET {column} = 17")
    connection.close()
    assert filled.runs(pytest.fail) == [finished[1]]


def test_an_index_of_another_version_is_made_anew(filled, finished, reads):
    filled.runs(pytest.fail)
    with sqlite3.connect(filled.path / INDEX) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    del reads[:]
    for expected in (4, 4):
        assert filled.runs(pytest.fail) == [finished[1]]
        assert len(reads) == expected


def test_a_row_of_another_version_of_wider_is_read_anew(filled, finished, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr("wider.runs._store.run_as_text", lambda _: '[{"field": 1}, {}, ""]')
        filled.runs(pytest.fail)
    for _ in range(2):
        assert filled.runs(pytest.fail) == [finished[1]]


def test_a_store_can_be_read_where_nothing_can_be_written(filled, finished, monkeypatch):
    # As on a read-only disk; a test may run as root, whom permissions do not stop.
    before = sorted(filled.path.rglob("*"))

    def refused(*_, **__):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(sqlite3, "connect", refused)
    monkeypatch.setattr(os, "replace", refused)
    monkeypatch.setattr(os, "mkdir", refused)
    for _ in range(2):
        assert Store(filled.path).runs(pytest.fail) == [finished[1]]
    assert sorted(filled.path.rglob("*")) == before


def test_a_store_that_is_looked_at_is_not_made(tmp_path):
    store = Store(tmp_path / "store")
    assert store.runs(pytest.fail) == []
    assert not store.path.exists()


def test_rows_are_made_once_and_anew_for_another_version(filled, spec, make_spec):
    asked = []

    def row_of(run):
        asked.append(run.spec.seed)
        return {"seed": run.spec.seed, "accuracy": run.result.final.test_accuracy, "none": None}

    def rows(version):
        return filled.rows(row_of, version=version, say=pytest.fail)

    first = rows(1)
    assert [row["seed"] for row in first] == [0]
    assert rows(1) == first
    assert asked == [0]
    execute(make_spec(seed=1), filled)
    assert sorted(row["seed"] for row in rows(1)) == [0, 1]
    assert asked == [0, 1]
    assert len(rows(2)) == 2
    assert sorted(asked) == [0, 0, 1, 1]
    (filled.folder(spec) / "history.parquet").write_bytes(b"")
    said = []
    assert [row["seed"] for row in filled.rows(row_of, version=2, say=said.append)] == [1]
    assert len(said) == 1
