"""The code that draws charts in a page."""

import hashlib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from wider.data import cache_folder
from wider.files import write_whole


def javascript() -> str:
    """Vega, Vega-Lite and what embeds them in a page, as one piece of JavaScript.

    It takes a second or two to put together, so it is kept in the cache folder. Kept code that is
    torn or was edited is not used, and without write access all works the same, only slower.
    """
    path = cache_folder() / f"vega-{version('vl-convert-python')}.js"
    kept = _kept(path)
    if kept is not None:
        return kept
    import vl_convert  # noqa: PLC0415 - 30 MB that not even every page needs

    made = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    with suppress(OSError):
        write_whole(path, f"{_digest(made)}\n{made}".encode())
    return made


def _kept(path: Path) -> str | None:
    try:
        digest, _, code = path.read_bytes().decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return code if digest == _digest(code) else None


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
