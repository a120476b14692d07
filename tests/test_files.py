"""Files are there whole or not at all, and nothing but files is read or written."""

import os
import stat
from pathlib import Path

import pytest

from wider.files import (
    NotAFileError,
    make_folder,
    read_whole,
    remove_partials,
    write_output,
    write_whole,
)


@pytest.fixture
def synced(monkeypatch):
    """Notes what is brought to the disk: "file", or a folder's name."""
    names, sync = [], os.fsync

    def noting(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        names.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()) if is_folder else "file")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return names


def test_a_file_is_on_the_disk_and_so_is_its_name_and_the_folders_above_it(tmp_path, synced):
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    above = [str(tmp_path), str(tmp_path / "a")]
    assert sorted(synced[:2]) == above
    assert synced[2:] == ["file", str(path.parent)]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "file").symlink_to(mine)
    write_whole(tmp_path / "file", b"theirs")
    assert mine.read_text() == "mine"
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert not (tmp_path / "file").is_symlink()


def test_nobody_can_guess_the_name_of_an_unfinished_file(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(os, "replace", lambda source, _: names.append(source.name))
    for _ in range(2):
        write_whole(tmp_path / "file", b"")
    first, second = names
    assert first != second
    assert first.startswith(".file.")
    assert len(first) == len(".file.") + 16 + len(".partial")


def test_a_link_is_not_read(tmp_path):
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(NotAFileError, match="a link"):
        read_whole(tmp_path / "link")


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAFileError, match="no regular file"):
        read_whole(tmp_path / "pipe")


def test_what_was_left_unfinished_is_removed_and_nothing_else(tmp_path):
    ours = [".file.0123456789abcdef.partial", ".file.1234.partial"]
    others = [
        ".DS_Store",
        ".nfs0000000012345678",
        ".other.0123456789abcdef.partial",
        ".file.partial",
        "file",
    ]
    for name in (*ours, *others):
        (tmp_path / name).touch()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".file.0000000000000000.partial").mkdir()
    remove_partials(tmp_path, {"file"})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, ".ipynb_checkpoints", ".file.0000000000000000.partial"}
    remove_partials(tmp_path / "missing", {"file"})


def test_a_folder_that_is_there_is_left_alone(tmp_path, synced):
    make_folder(tmp_path)
    assert synced == []


def test_output_to_a_pipe_comes_out_of_it_or_is_refused(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):  # nobody reads
        write_output(path, b"content")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_output(path, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
