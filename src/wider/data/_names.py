"""The names that a dataset may have."""

import os
from pathlib import Path

from wider.errors import InputError

MOST_BYTES = 200  # file systems allow 255, and files beside the dataset have longer names


def check_name(name: str) -> None:
    """Does nothing if a name is that of a folder, or an owner's and a folder's.

    Raises:
        InputError: it leads elsewhere, or no folder can have it.
    """
    parts = name.split("/")
    if (
        len(parts) > 2
        or any(part.strip() in ("", ".", "..") for part in parts)
        or any(character in name for character in "\0\\")
        or not 0 < len(os.fsencode(name)) <= MOST_BYTES
        or Path(name).drive
    ):
        shown = repr(name if len(name) <= 80 else f"{name[:80]}...")
        raise InputError(
            f"{shown} is not the name of a dataset. Give the name of a folder in --data-dir, such "
            f"as pets, or OWNER/NAME on the Hugging Face Hub, of {MOST_BYTES} bytes at most; the "
            "folder around it goes into --data-dir."
        )
