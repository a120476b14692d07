from importlib.metadata import version
from pathlib import Path

import pytest
import vl_convert

from wider.report import runs_in_store, write_page
from wider.runs import Store, execute
from wider.study import EXPERIMENTS

BUNDLE = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is not there yet."""
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    execute(EXPERIMENTS["demo"].scale("smoke").specs()[0], Store(folder))
    return folder


def has_code(store: Path, page: Path) -> bool:
    write_page(runs_in_store(store), page, experiments=[])
    return BUNDLE in page.read_text(encoding="utf-8")


def test_code_is_kept_for_the_next_page(store: Path, folder: Path, tmp_path: Path):
    assert has_code(store, tmp_path / "first.html")
    (kept,) = folder.iterdir()
    assert version("vl-convert-python") in kept.name
    made = kept.stat().st_mtime_ns
    assert has_code(store, tmp_path / "second.html")
    assert kept.stat().st_mtime_ns == made


@pytest.mark.parametrize("content", [b"", b"alert(1)", b"\xff\xfe", None])
def test_kept_code_that_is_torn_or_was_edited_is_not_used(
    content: bytes | None, store: Path, folder: Path, tmp_path: Path
):
    has_code(store, tmp_path / "first.html")
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] if content is None else content)
    assert has_code(store, tmp_path / "second.html")
    assert kept.read_bytes() == whole


def test_without_a_cache_folder_a_page_has_its_code_as_well(
    store: Path, folder: Path, tmp_path: Path
):
    folder.write_text("a file where the folder should be")
    assert has_code(store, tmp_path / "page.html")
