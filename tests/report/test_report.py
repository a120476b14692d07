import html
import html.parser
import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import altair as alt
import pandas as pd
import pytest

from wider.data import Preprocessing
from wider.drawing import layered, single_mark, together
from wider.errors import InputError
from wider.evidence import Outcome
from wider.report import (
    GAINS,
    answer,
    beside_paper,
    cells,
    costs,
    interactive_spec,
    limits,
    runs_in_results,
    runs_in_store,
    sections_of,
    shows_something,
    verdict_rows,
    with_intervals,
    write_page,
    write_pictures,
)
from wider.runs import RunSpec, Store, Widening, execute
from wider.study import EXPERIMENTS, Subject, verdicts
from wider.training import Recipe

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All runs of the demo at its smallest scale, and one run that no experiment knows."""
    store = Store(tmp_path_factory.mktemp("store"))
    for spec in EXPERIMENTS["demo"].scale("smoke").specs():
        execute(spec, store)
    own = RunSpec(
        data=Preprocessing(dataset="digits"),
        widening=Widening(base_width=4, width=12),
        recipe=Recipe(epochs=1),
    )
    execute(own, store)
    return store


def _runs(store: Store) -> pd.DataFrame:
    return runs_in_store(store.path)


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.table_rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.table_rows.append([])
        if tag in {"td", "th"}:
            self.table_rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.table_rows and self.table_rows[-1] and self.tags[-1][0] in {"td", "th"}:
            self.table_rows[-1][-1] += data.strip()

    def having(self, attribute: str) -> list[str]:
        return [value for _, found in self.tags if (value := found.get(attribute)) is not None]


def test_the_page_needs_nothing_but_itself(store: Store, tmp_path: Path):
    write_page(_runs(store), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert page.having("src") == []
    assert [href for href in page.having("href") if not href.startswith("#")] == []
    (policy,) = [value for value in page.having("content") if "default-src" in value]
    assert "default-src 'none'" in policy
    assert (tmp_path / "report.html").stat().st_size < 5e6


def test_the_page_shows_the_experiment_with_its_scale_and_every_run(store: Store, tmp_path: Path):
    sections = write_page(_runs(store), tmp_path / "report.html", experiments=[EXPERIMENTS["demo"]])
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert [section.anchor for section in sections] == ["demo-smoke", "study-1-own"]
    assert sections[0].scale_label in text
    assert "wider run demo --scale smoke" in text
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0])
    drawn = ["answer", "demo-smoke-demo", "study-1-own-study-1"]
    assert sorted(charts) == sorted(page.having("data-chart")) == drawn
    runs = [row for row in page.table_rows if row[:2] == ["digits", "mlp"]]
    assert len(runs) == 7
    own = next(row for row in runs if row[4] == "12")
    accuracy = next(run for run in store.runs() if run.spec.widening.width == 12).result.final
    assert f"{accuracy.test_accuracy:.2%}" in own


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the tables that the repository keeps."""
    path = tmp_path_factory.mktemp("kept") / "report.html"
    write_page(runs_in_results(RESULTS), path)
    return path.read_text()


def test_every_claim_has_its_verdict_with_evidence(kept: str):
    found = verdicts(runs_in_results(RESULTS), EXPERIMENTS)
    tested = [verdict for verdict in found if verdict.evidence]
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", kept)))
    counted = {name: sum(each.outcome == name for each in found) for name in get_args(Outcome)}
    assert f"Of {len(found)} claims that this study can check, {len(tested)} ha" in text
    for outcome in ("supported", "contradicted", "inconclusive"):
        assert f"{counted[outcome]} {outcome}" in text
    for verdict in found:
        assert verdict.claim.says in text
        assert verdict.claim.place in text
        assert f'id="{verdict.claim.name}"' in kept
    for row in verdict_rows(runs_in_results(RESULTS), EXPERIMENTS.values(), []):
        evidence = row.verdict.evidence
        if evidence is not None:
            assert evidence.compared[1:] in text
            assert row.interval in text
        in_points = row.verdict.claim.unit == "points"
        if evidence is not None and in_points and all(map(math.isfinite, evidence.effect[1:])):
            ends = "{:+.2f} to {:+.2f}".format(*evidence.effect[1:])
            assert row.interval == ends.replace("-", "\N{MINUS SIGN}")


def test_claims_stand_under_their_subjects(kept: str):
    board = kept[kept.index('id="verdicts"') : kept.index('id="rule"')]
    names = re.findall(r'<h3 id="about-[^>]*>([^<]*?) <', board)
    assert [html.unescape(name) for name in names] == list(Subject)
    found = verdicts(runs_in_results(RESULTS), EXPERIMENTS)
    for subject, part in zip(Subject, board.split('class="subject"')[1:], strict=True):
        own = {verdict.claim.name for verdict in found if verdict.claim.subject == subject}
        assert {each.claim.name for each in found if f'id="{each.claim.name}"' in part} == own
    chosen = [each for each in found if each.evidence and each.claim.has_chosen_border]
    assert board.count("this project's choice, not the paper's") == len(chosen) > 5


def test_the_largest_scale_comes_first_and_holds_the_others(kept: str):
    names = re.findall(r'<section id="(figure-4-(?:paper|laptop))"', kept)
    assert names == ["figure-4-paper", "figure-4-laptop"]
    folded = kept[: kept.index('<section id="figure-4-laptop"')].rindex('<details class="smaller">')
    assert folded > kept.index('<section id="figure-4-paper"')


def test_the_first_screen_says_what_the_verdicts_say(kept: str):
    rows = verdict_rows(runs_in_results(RESULTS), EXPERIMENTS.values(), [])
    sections = list(sections_of(runs_in_results(RESULTS), EXPERIMENTS.values()))
    first = answer(sections, rows)
    assert html.unescape(kept).count(first.sentence) == 1
    assert len(first.numbers) == 3
    assert all(f'href="#{each.row.verdict.claim.name}"' in kept for each in first.numbers)
    gains = {row.verdict.claim.name: row for row in rows if row.verdict.claim.name in GAINS}

    def sentence(**outcomes: str) -> str:
        changed = [
            replace(row, verdict=replace(row.verdict, outcome=outcomes[name.split("-")[-1]]))
            for name, row in gains.items()
            if name.split("-")[-1] in outcomes
        ]
        return answer([], changed).sentence

    assert sentence(gain="supported") == (
        "Yes: at equal weights a wider, sparser net beats the dense one: an MLP on MNIST."
    )
    assert sentence(gain="supported", svhn="contradicted").startswith("Not always: ")
    assert sentence(gain="contradicted") == (
        "No. At equal weights width gains nothing: an MLP on MNIST."
    )
    assert sentence(svhn="inconclusive", imagenet="not yet run") == (
        "The runs cannot tell yet: ResNet-18 on SVHN. Not yet run: ResNet-18 on ImageNet."
    )


def test_a_page_about_other_things_is_not_checked_against_the_paper(store: Store, tmp_path: Path):
    (section, *_) = write_page(
        _runs(store), tmp_path / "page.html", experiments=[EXPERIMENTS["demo"]]
    )
    text = html.unescape((tmp_path / "page.html").read_text())
    assert "checked against" not in text
    assert "Golubeva, Neyshabur and Gur-Ari wrote" not in text
    assert 'id="verdicts"' not in text
    assert f'<p class="answer">{section.pictures[0].caption}</p>' in text
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0])
    assert charts["answer"] == charts["demo-smoke-demo"]


def test_links_lead_somewhere(kept: str):
    page = Page(kept)
    ids = page.having("id")
    assert len(ids) == len(set(ids))
    assert {href.removeprefix("#") for href in page.having("href")} <= set(ids)


def test_a_screen_reader_finds_its_way(kept: str):
    page = Page(kept)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    tags = [tag for tag, _ in page.tags]
    assert {"header", "nav", "main", "html"} <= set(tags)
    assert tags.count("table") == tags.count("caption")
    assert all(found.get("scope") for tag, found in page.tags if tag == "th")
    charts = [found for _, found in page.tags if "data-chart" in found]
    assert charts
    assert all(found["role"] == "img" and found["aria-label"] for found in charts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_background(kept: str, scheme: str):
    """WCAG 2.2's contrast of normal text, 4.5 to 1."""
    blocks = re.findall(r":root \{(.*?)\}", kept, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", blocks[["light", "dark"].index(scheme)]))
    pairs = [(name, ground) for name in ("text", "muted", "link") for ground in ("page", "soft")]
    pairs += [(name, f"{name}-soft") for name in ("supported", "contradicted", "unsure")]
    for name, ground in pairs:
        darker, brighter = sorted(map(_luminance, (colours[name], colours[ground])))
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5, (name, ground)


def _luminance(colour: str) -> float:
    """Relative, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    values = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return sum(share * v for share, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_papers_numbers_stand_beside_ours():
    section = next(
        each
        for each in sections_of(runs_in_results(RESULTS), [EXPERIMENTS["figure-4"]])
        if each.anchor == "figure-4-paper"
    )
    table = beside_paper(section)
    row = table[(table["activation"] == "relu") & (table["width"] == 80)].iloc[0]
    cells_80 = section.summary[
        (section.summary["activation"] == "relu") & (section.summary["width"] == 80)
    ]
    assert row["accuracy_in_paper"] == 0.963
    assert row["best_test_accuracy"] == cells_80["best_test_accuracy"].max()
    gap = 100 * (cells_80["best_test_accuracy"].max() - 0.963)
    assert row["ours_less_the_paper"] == f"{gap:+.2f} points"
    assert beside_paper(next(sections_of(section.table, [EXPERIMENTS["figure-2"]]))).empty


def test_costs_are_counted_net_by_net(store: Store):
    section = next(sections_of(_runs(store), [EXPERIMENTS["demo"]]))
    table = costs(section)
    assert table["runs"].sum() == len(section.table) == 6
    widest = section.table[section.table["width"] == section.table["width"].max()]
    dense = widest[widest["method"] == "dense"].iloc[:2]
    row = table[(table["method"] == "dense") & (table["width"] == widest["width"].iloc[0])].iloc[0]
    assert row["weights"] == f"{dense['num_weights'].iloc[0]:,}"
    assert row["seconds a run"] == f"{dense['seconds'].mean():,.1f}"
    assert row["runs"] == len(dense)
    twice = pd.concat([dense, dense]).assign(num_weights=2000)
    twice.iloc[0, twice.columns.get_loc("num_weights")] = 10
    assert costs(replace(section, table=twice))["weights"].tolist() == ["10 to 2,000"]


def test_limits_name_what_is_less_than_in_the_paper(store: Store):
    runs = _runs(store)
    runs.loc[0, "status"] = "diverged"
    sections = list(sections_of(runs, EXPERIMENTS.values()))
    found = limits(runs, sections)
    assert [section.anchor for section in found.shortened] == ["demo-smoke"]
    assert found.incomplete == []
    assert found.diverged == 1
    assert found.lossy == []
    ((section, single, total),) = found.single_seeds
    assert section.anchor == "demo-smoke"
    assert 0 < single <= total == len(section.summary)


def test_tables_call_activations_as_people_do():
    table = pd.DataFrame({"activation": ["relu", "identity", None], "method": "sparse"})
    assert cells(table) == [["ReLU", "sparse"], ["linear", "sparse"], ["-", "sparse"]]


def test_a_legend_of_colours_becomes_a_switch():
    table = pd.DataFrame({"x": [1.0, float("nan")], "net": ["a", "b"], "size": [1, 2]})
    lines = alt.Chart(table).encode(x="x:Q", y="size:Q")
    named = lines.encode(color="net:N")
    dashed = named.mark_line().encode(strokeDash=alt.StrokeDash("net:N", legend=None))
    several = [layered(dashed, named.mark_point(opacity=0.5)), single_mark(lines.mark_line())]
    chart = together("hconcat", several)
    first, second = interactive_spec(chart)["hconcat"]
    (selection, zoom) = first["layer"][0]["params"]
    assert selection["bind"] == "legend"
    assert selection["select"]["fields"] == ["net"]
    assert zoom["bind"] == "scales"
    opacities = [layer["encoding"]["opacity"]["condition"] for layer in first["layer"]]
    assert opacities == [{"param": selection["name"], "value": value} for value in (1, 0.5)]
    assert "legend" not in first["layer"][0]["encoding"]["strokeDash"]
    assert "params" not in second
    assert "opacity" not in second["encoding"]


def test_pictures_without_a_panel_are_left_out():
    points = single_mark(alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x:Q"))
    assert shows_something(points)
    assert shows_something(together("vconcat", [points, points]))
    assert not shows_something(together("hconcat", []))
    assert not shows_something(together("hconcat", [together("vconcat", [])]))


def test_an_incomplete_experiment_says_so(store: Store, tmp_path: Path):
    part = Store(tmp_path / "store")
    execute(EXPERIMENTS["demo"].scale("smoke").specs()[0], part)
    write_page(_runs(part), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "1 of 6 runs are done" in text
    assert "Not complete" in text
    write_page(_runs(store), tmp_path / "report.html")
    assert "Not complete" not in (tmp_path / "report.html").read_text()


def test_names_from_specs_are_text_and_never_markup(store: Store, tmp_path: Path):
    evil = "<script>alert(1)</script>"
    write_page(_runs(store).assign(dataset=evil), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_lossy_images_are_named(store: Store, tmp_path: Path):
    write_page(_runs(store).assign(data_encoding="jpeg"), tmp_path / "report.html")
    assert "digits was stored in a lossy format" in (tmp_path / "report.html").read_text()


def test_a_damaged_run_is_left_out_and_named(store: Store, tmp_path: Path):
    copy = Store(tmp_path / "store")
    specs = EXPERIMENTS["demo"].scale("smoke").specs()[:2]
    for spec in specs:
        execute(spec, copy)
    (copy.folder(specs[0]) / "history.parquet").write_bytes(b"torn")
    messages: list[str] = []
    write_page(runs_in_store(copy.path, messages.append), tmp_path / "report.html")
    assert "1 of 6 runs are done" in (tmp_path / "report.html").read_text()
    (message,) = messages
    assert "history.parquet" in message


@pytest.mark.parametrize("content", [b"", b"mine", b"<!doctype html><title>Mine</title>"])
def test_a_file_that_is_no_page_of_ours_is_not_written_over(
    store: Store, tmp_path: Path, content: bytes
):
    path = tmp_path / "report.html"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no page of wider's\): choose another file"):
        write_page(_runs(store), path, experiments=[])
    assert path.read_bytes() == content
    path.unlink()
    for _ in range(2):
        write_page(_runs(store), path, experiments=[])
    assert path.read_text().endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "report.html"
    write_page(_runs(store), path, experiments=[])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_page(_runs(store).iloc[:1], path, experiments=[])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_an_empty_store_or_an_unwritable_page_is_refused(store: Store, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no finished run: train some with `wider run`"):
        runs_in_store(tmp_path / "empty")
    with pytest.raises(InputError, match="choose another file with --output"):
        write_page(_runs(store), tmp_path / "no" / "such" / "folder" / "report.html")


def test_pictures_that_need_no_run_are_always_there(store: Store, tmp_path: Path):
    sections = write_page(_runs(store), tmp_path / "report.html")
    drawn = ["figure-2-paper", "figure-8-paper", "figure-10-paper"]
    assert [section.anchor for section in sections] == ["demo-smoke", *drawn, "study-1-own"]
    text = (tmp_path / "report.html").read_text()
    assert text.count("Drawn from the library's own nets") == len(drawn)
    assert "wait for runs" not in text  # these runs are about none of the claims
    assert "wider run figure-2 --scale paper</code>" in text


def test_pictures_are_written_in_three_formats(store: Store, tmp_path: Path):
    sections = list(sections_of(_runs(store), [EXPERIMENTS["demo"]]))
    paths = write_pictures(sections, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        "demo-smoke.pdf",
        "demo-smoke.png",
        "demo-smoke.svg",
    ]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert "scale smoke" in paths[2].read_text()


def test_numbers_are_shown_as_a_reader_wants_them():
    table = pd.DataFrame(
        {
            "width": [80, 640],
            "connectivity": [0.0625, 0.0078125],
            "final_test_accuracy": [0.96271, float("nan")],
            "final_test_accuracy_interval": [0.00151, float("nan")],
            "final_test_accuracy_deviation": [0.001, float("nan")],
        }
    )
    shown = with_intervals(table)
    assert list(shown.columns) == ["width", "connectivity", "final_test_accuracy"]
    assert cells(shown) == [["80", "0.0625", "96.27% ± 0.15"], ["640", "0.00781", "-"]]


def test_tables_that_were_kept_give_the_same_page(store: Store, tmp_path: Path):
    section = next(sections_of(_runs(store), [EXPERIMENTS["demo"]]))
    (tmp_path / "kept").mkdir()
    section.table.to_csv(tmp_path / "kept" / "demo-smoke.csv", index=False)
    (tmp_path / "kept" / "bench-linear.csv").write_text("width\n1\n")
    kept = runs_in_results(tmp_path / "kept")
    assert kept["key"].tolist() == section.table["key"].tolist()
    again = next(sections_of(kept, [EXPERIMENTS["demo"]]))
    # Bit for bit: nothing is lost on the way through the file.
    pd.testing.assert_frame_equal(again.summary, section.summary, check_exact=True)
    for original, copy in zip(section.pictures, again.pictures, strict=True):
        assert copy.chart.to_dict() == original.chart.to_dict()
        assert copy.caption == original.caption


def test_a_run_in_several_tables_is_there_once(store: Store, tmp_path: Path):
    section = next(sections_of(_runs(store), [EXPERIMENTS["demo"]]))
    for name in ("demo-smoke", "demo-laptop"):
        section.table.to_csv(tmp_path / f"{name}.csv", index=False)
    assert len(runs_in_results(tmp_path)) == len(section.table)


def test_folders_and_files_that_hold_no_runs_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no table of an experiment, such as demo-laptop"):
        runs_in_results(tmp_path)
    (tmp_path / "demo-smoke.csv").write_text("width,key\n1,a\n")
    with pytest.raises(InputError, match=r"no column final_test_accuracy, seed, status"):
        runs_in_results(tmp_path)
    (tmp_path / "demo-smoke.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"demo-smoke.csv' is no table of runs"):
        runs_in_results(tmp_path)


def test_every_committed_table_is_of_runs_that_its_experiment_has():
    runs = runs_in_results(RESULTS)
    names = {section.anchor for section in sections_of(runs, EXPERIMENTS.values())}
    for path in RESULTS.glob("*.csv"):
        if not path.stem.startswith(("bench-", "reliability")):
            assert path.stem in names
            assert set(pd.read_csv(path)["key"]) <= set(runs["key"])


def test_an_experiment_that_shares_all_its_runs_with_another_is_not_shown():
    """Figure 5 starts with runs of Figure 1, and says nothing before it has one of its own."""
    runs = runs_in_results(RESULTS)
    figure_1 = runs[
        runs["key"].isin({spec.key for spec in EXPERIMENTS["figure-1"].scale().specs()})
    ]
    shown = [EXPERIMENTS["figure-1"], EXPERIMENTS["figure-5"]]
    assert [section.anchor for section in sections_of(figure_1, shown)] == ["figure-1-laptop"]
    own = EXPERIMENTS["figure-5"].scale().specs()[-1]
    begun = pd.concat([figure_1, figure_1.iloc[:1].assign(key=own.key)])
    anchors = [section.anchor for section in sections_of(begun, shown)]
    assert anchors == ["figure-1-laptop", "figure-5-laptop"]
    # Figures 1 and 9 have each a family of Figure 5, which neither of them shows beside the other.
    both = {
        spec.key
        for name in ("figure-1", "figure-9")
        for spec in EXPERIMENTS[name].scale("gpu").specs()
    }
    anchors = {
        section.anchor
        for section in sections_of(runs[runs["key"].isin(both)], EXPERIMENTS.values())
    }
    assert {"figure-1-gpu", "figure-5-gpu", "figure-9-gpu"} <= anchors
    # Alone, they are all that there is to see.
    assert [section.anchor for section in sections_of(figure_1, [EXPERIMENTS["figure-5"]])] == [
        "figure-5-laptop"
    ]
