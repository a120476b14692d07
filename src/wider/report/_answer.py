"""What a reader sees first: the answer in a sentence, a picture, and three numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wider.evidence import Outcome
from wider.report._overview import overview
from wider.report._sections import Section
from wider.report._verdicts import PART, SIGNS, VerdictRow, counts
from wider.study import Picture

# Claims that a wider net beats the dense one with as many weights: {name: (net, images)}.
GAINS: Mapping[str, tuple[str, str]] = {
    "figure-4-relu-gain": ("an MLP", "MNIST"),
    "figure-1-cifar10": ("ResNet-18", "CIFAR-10"),
    "figure-1-cifar100": ("ResNet-18", "CIFAR-100"),
    "figure-1-svhn": ("ResNet-18", "SVHN"),
    "figure-1-imagenet": ("ResNet-18", "ImageNet"),
}
# Claims whose numbers stand on the first screen, the most telling first, and what they count.
HEADLINES: Mapping[str, str] = {
    "figure-4-relu-gain": "gained by an MLP on {}",
    "figure-1-cifar10": "gained by ResNet-18 on {}",
    "figure-6-cifar10": "of what a wide dense ResNet-18 gains on {} is due to width alone",
    "figure-1-cifar100": "gained by ResNet-18 on {}",
    "figure-6-cifar100": "of what a wide dense ResNet-18 gains on {} is due to width alone",
    "figure-1-imagenet": "gained by ResNet-18 on {}",
}
MOST_NUMBERS = 3


@dataclass(frozen=True)
class Headline:
    """A number of the first screen.

    Attributes:
        row: the verdict that it belongs to.
        label: what is counted, in a few words.
    """

    row: VerdictRow
    label: str

    @property
    def value(self) -> str:
        """The number; a part of a gain needs no unit beside the label."""
        return self.row.effect.removesuffix(PART).strip()


@dataclass(frozen=True)
class Answer:
    """The first screen.

    Attributes:
        sentence: what the runs say.
        picture: that shows it; None where nothing has been run.
        numbers: three, or as many as there are.
    """

    sentence: str
    picture: Picture | None
    numbers: list[Headline]


def answer(sections: Sequence[Section], rows: Sequence[VerdictRow]) -> Answer:
    """The first screen of a page.

    Where none of the paper's claims has been run, it shows what the first section with runs shows.

    Args:
        sections: of the page, the largest scale of an experiment first.
        rows: the verdicts; none where no claim has been run.
    """
    trained = [section for section in sections if section.num_runs]
    own = next((picture for section in trained for picture in section.pictures), None)
    if not rows:
        return Answer(own.caption if own else "Nothing has been run yet.", own, [])
    return Answer(_sentence(rows), overview(sections) or own, _headlines(rows))


def _sentence(rows: Sequence[VerdictRow]) -> str:
    by_name = {row.verdict.claim.name: row for row in rows}
    gains = {name: by_name[name] for name in GAINS if name in by_name}
    where: dict[Outcome, str] = {
        outcome: _where([row for row in gains.values() if row.verdict.outcome == outcome])
        for outcome in SIGNS
    }
    if not (where["supported"] or where["contradicted"] or where["inconclusive"]):
        found = counts(rows)
        return (
            f"These runs support {found['supported']} of the paper's claims, contradict "
            f"{found['contradicted']} and cannot tell for {found['inconclusive']}; none of them is "
            "about the gain of a wider net."
        )
    parts = [_first_words(where)]
    if where["supported"]:
        parts.append(
            f"at equal weights a wider, sparser net beats the dense one: {where['supported']}."
        )
    if where["contradicted"]:
        parts.append(f"At equal weights width gains nothing: {where['contradicted']}.")
    if where["inconclusive"]:
        parts.append(f"The runs cannot tell yet: {where['inconclusive']}.")
    if where["not yet run"]:
        parts.append(f"Not yet run: {where['not yet run']}.")
    return " ".join(part for part in parts if part)


def _first_words(where: Mapping[Outcome, str]) -> str:
    if not where["supported"]:
        return "No." if where["contradicted"] else ""
    if where["contradicted"]:
        return "Not always:"
    return "Yes, as far as these runs can tell:" if where["inconclusive"] else "Yes:"


def _where(rows: Sequence[VerdictRow]) -> str:
    """Such as "an MLP on MNIST and ResNet-18 on CIFAR-10 and SVHN"."""
    images: dict[str, list[str]] = {}
    for row in rows:
        net, name = GAINS[row.verdict.claim.name]
        images.setdefault(net, []).append(row.verdict.data or name)
    return _listed([f"{net} on {_listed(names)}" for net, names in images.items()])


def _listed(words: Sequence[str]) -> str:
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _headlines(rows: Sequence[VerdictRow]) -> list[Headline]:
    tested = {row.verdict.claim.name: row for row in rows if row.has_interval}
    chosen = [name for name in HEADLINES if name in tested]
    others = [name for name in tested if name not in HEADLINES]
    return [
        Headline(tested[name], _label(tested[name])) for name in [*chosen, *others][:MOST_NUMBERS]
    ]


def _label(row: VerdictRow) -> str:
    claim = row.verdict.claim
    if claim.name not in HEADLINES:
        return claim.says
    return HEADLINES[claim.name].format(row.verdict.data)
