"""What tells whether a run that is there is of the data and the code of now."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from wider.data import digest_at_hand
from wider.errors import InputError
from wider.own_code import source_digest
from wider.runs._spec import RunSpec

DATA, CODE = "data_digest", "code_digest"
SHOWN = 16  # digits, in names and messages


class Digests(NamedTuple):
    """Of all that a run depends on beside its spec; None of what is not known.

    Attributes:
        data: SHA-256 of the dataset.
        code: of the source of the user's own code; None where there is none, too.
    """

    data: str | None
    code: str | None = None

    @classmethod
    def now(cls, spec: RunSpec, *, data_dir: Path | None = None) -> Self:
        """As they are on this machine.

        Args:
            spec: the run.
            data_dir: the folder of datasets; see `wider.data.load`.

        Raises:
            InputError: the data are there, and cannot be read.
        """
        return cls(digest_at_hand(spec.data, data_dir=data_dir), code_now(spec))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """The inverse of `metadata`.

        Raises:
            KeyError: there are none.
        """
        return cls(str(metadata[DATA]), metadata.get(CODE))

    @property
    def metadata(self) -> dict[str, str]:
        """As a checkpoint has them."""
        return {name: value for name, value in ((DATA, self.data), (CODE, self.code)) if value}

    @property
    def name(self) -> str:
        """For the two; the dataset's digest where there is no code."""
        both = self.data or ""
        if self.code is not None:
            both = hashlib.sha256(f"{both} {self.code}".encode()).hexdigest()
        return both[:SHOWN]

    def changes(self, now: "Digests", spec: RunSpec) -> list[str]:
        """What became another since, in words; nothing where all that is known is the same."""
        pairs = [
            (self.data, now.data, "its data were others", f"those of {spec.data.dataset}"),
            (self.code, now.code, "its code was another", f"that of {', '.join(spec.own_code)}"),
        ]
        return [
            f"{what} (digest {before[:SHOWN]}) than {whose} now ({after[:SHOWN]})"
            for before, after, what, whose in pairs
            if before is not None and after is not None and before != after
        ]


def code_now(spec: RunSpec) -> str | None:
    """The digest of the user's own code; None where there is none, or not on this machine."""
    try:
        return source_digest(spec.own_code)
    except InputError:
        return None
