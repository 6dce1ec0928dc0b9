import csv
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from platform import node
from types import SimpleNamespace

import pytest

from paribus.planning import Plan
from paribus.report import find, write
from paribus.report.markdown import safe
from paribus.store.record import Outcome

Made = tuple[Plan, dict[str, Outcome]]
HOSTILE = "<script>alert(1)</script>|`x`\"'&</td> [a](http://b)"


class Page(HTMLParser):
    """The elements of a page, its attributes, and its main table as text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self._in_main = False
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._in_main |= tag == "table" and ("class", "main") in attrs
        if self._in_main and tag == "tr":
            self.rows.append([])
        elif self._in_main and tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_main &= tag != "table"
        self._in_cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_main and self._in_cell:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def folder(six_arms: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = tmp_path_factory.mktemp("report")
    write(find(*six_arms), chosen)
    return chosen


def contrasts(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "contrasts.csv").open(encoding="utf-8") as file:
        return {row["arm"]: row for row in csv.DictReader(file) if row["role"] == "main"}


def test_every_format_is_written_whole_and_nothing_else(folder: Path) -> None:
    names = {
        "index.html",
        "report.md",
        "runs.csv",
        "contrasts.csv",
        "curves.csv",
        "ranks.csv",
        "warnings.csv",
        "samples.jsonl",
    }
    names |= {"environment.json", "report.json", "figures"}
    assert {path.name for path in folder.iterdir()} == names
    pictures = {path.name for path in (folder / "figures").iterdir()}
    assert {"loss.svg", "loss-dark.svg", "quality-flops.svg", "gap-loss-dark.svg"} <= pictures


def test_the_same_findings_give_the_same_bytes(six_arms: Made, folder: Path, tmp_path: Path) -> None:
    for path in write(find(*six_arms), tmp_path):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()


def test_two_who_write_the_same_report_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    words = f"from pathlib import Path; [place(Path({str(tmp_path / 'report.md')!r}), 'x' * 5000) for _ in range(500)]"
    command = [sys.executable, "-c", f"from paribus.report.write import place; {words}"]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for writer in writers:
        said = writer.communicate(timeout=60)[1]
        assert writer.returncode == 0, said
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_what_a_killed_writer_left_behind_is_removed(six_arms: Made, tmp_path: Path) -> None:
    dead, elsewhere = (f".report.json.partial-{owner}" for owner in (f"{node()}-999999999", "another-machine-1"))
    for name in (dead, elsewhere):
        (tmp_path / name).touch()
    write(find(*six_arms), tmp_path, ["json"])
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", elsewhere}


def test_numbers_and_verdicts_of_the_page_are_those_of_the_table(folder: Path) -> None:
    rows = {row[0]: row for row in Page((folder / "index.html").read_text(encoding="utf-8")).rows[2:]}
    known = contrasts(folder)
    assert list(rows) == list(known)
    for arm, row in rows.items():
        shown = [float(text.replace("−", "-")) for text in re.findall(r"[+−]?\d+\.\d+", row[3])]
        whole = [float(known[arm][column]) for column in ("improvement", "ci_low", "ci_high")]
        assert shown == pytest.approx(whole, abs=0.5001e-4)
        assert known[arm]["verdict"] in row[5]


def test_markdown_says_the_same_as_the_page(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    for arm, row in contrasts(folder).items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {safe(arm)} |"))
        assert row["verdict"] in line
        assert f"{float(row['improvement']):+.4f}".replace("-", "−") in line


def test_a_run_that_failed_is_a_row_without_a_value(folder: Path) -> None:
    with (folder / "runs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "diverged"]
    assert [(row["arm"], row["seed"], row["value"], row["fail_step"]) for row in rows] == [
        ("batch_norm", "4", "", "388")
    ]


def test_numbers_in_tables_lose_no_digit(six_arms: Made, folder: Path) -> None:
    known = {
        (row["arm"], row["role"]): row["ci_low"] for row in find(*six_arms).tables.contrasts if row["role"] == "main"
    }
    for arm, row in contrasts(folder).items():
        assert float(row["ci_low"]) == known[arm, "main"]


def test_the_page_needs_nothing_from_outside(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "default-src 'none'" in text
    addresses = [value or "" for name, value in page.attributes if name in ("src", "href", "action")]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert len(text) < 500_000


def test_hostile_names_stay_text_everywhere(made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [
        made.Arm("baseline", 0.9),
        made.Arm(HOSTILE, 0.9, change=(HOSTILE, "`|", "\n```\n# x"), leaks={HOSTILE: HOSTILE}),
    ]
    plan, outcomes = made.experiment(arms, 3, (HOSTILE,), question=HOSTILE + "\n# heading", name="n")
    write(find(plan, outcomes), tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.rows[2][0] == HOSTILE
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.count("\n```") == 2
    text = re.sub(r"(?s)\n```text.*?\n```\n", "", text)  # inside a fence everything is text
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]\(", text)
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ")}
    assert widths <= {3, 5, 6, 8, 9, 10}
    assert text.count("\n# ") == 0
    with (tmp_path / "contrasts.csv").open(encoding="utf-8") as file:
        assert {row["arm"] for row in csv.DictReader(file)} == {HOSTILE}


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a_b|c", r"a\_b\|c"), ("# x", r"\# x"), ("1. x", r"1\. x"), ("a\nb", "a b"), ("<b>", "&lt;b&gt;"), ("`", r"\`")],
)
def test_markdown_is_escaped(text: str, escaped: str) -> None:
    assert safe(text) == escaped


def test_a_loss_of_training_with_label_smoothing_has_another_name(six_arms: Made) -> None:
    plan, outcomes = six_arms
    settings = {
        arm.name: {"phrases": {"task": {}, "training": {"label_smoothing": 0.1 if arm.name == "baseline" else 0.0}}}
        for arm in plan.arms
    }
    curves = find(replace(plan, settings=settings), outcomes).tables.curves
    named = {(row["arm"], row["metric"]) for row in curves if row["split"] == "train"}
    assert ("baseline", "smoothed_loss") in named
    assert ("baseline", "loss") not in named
    assert ("learned", "loss") in named
    assert {row["metric"] for row in curves if row["split"] == "validation"} == {"loss", "token_accuracy"}
