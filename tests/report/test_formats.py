"""Every format holds the same findings, and names stay text in all of them."""

import csv
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet
import pytest
from markdown_it import MarkdownIt

from paribus.planning import Plan
from paribus.report import find, write
from paribus.report.drawings import dark, drawings, turned
from paribus.report.latex import safe
from paribus.store.kept import Kept
from paribus.store.record import Outcome

Made = tuple[Plan, dict[str, Outcome]]
Read = Callable[[str], Kept | None]
Whole = tuple[Plan, dict[str, Outcome], Read]
HOSTILE = (
    "<script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    r"\input{/etc/passwd}\end{document}",
    "a|b||c",
    "\"quotes\" 'and' `ticks` ~^$&#%_",
    "x" * 300,
    "\u202eright-to-left\u202c שלום",
    "emoji 🐈 and 猫",
    "--set=[a] -- *b* _c_ [d](http://e) www.f.g @h",
    "line\nbreak\t\x1b[31m\x00",
)
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None and "CI" not in os.environ,
    reason="needs texlive-latex-recommended and texlive-science",
)


def compiled(folder: Path) -> str:
    """What pdflatex says of the report."""
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=120, check=False)
    said = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, said[-1500:]
    return said


@pytest.fixture(scope="module")
def rich(six_arms: Made, kept_by_six: Read, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, in every format."""
    folder = tmp_path_factory.mktemp("rich")
    found = find(*six_arms, read=kept_by_six)
    write(found, folder, ["html", "md", "tex", "csv", "json", "parquet"])
    return folder


@needs_latex
def test_latex_compiles_and_holds_the_numbers_of_the_table(rich: Path) -> None:
    said = compiled(rich)
    assert "Undefined control sequence" not in said
    with (rich / "contrasts.csv").open(encoding="utf-8") as file:
        rows = {row["arm"]: row for row in csv.DictReader(file) if row["role"] == "main"}
    numbers = (rich / "numbers.tex").read_text()
    found = dict(re.findall(r"\\newcommand\{\\(\w+)\}\{(.*)\}", numbers))
    assert float(found["oneHeadDelta"].replace("$-$", "-")) == pytest.approx(
        float(rows["one_head"]["improvement"]), abs=1e-4
    )
    assert found["noPositionVerdict"] == rows["no_position"]["verdict"]
    table = (rich / "table.tex").read_text()
    assert r"\toprule" in table
    assert "|" not in table


@needs_latex
def test_latex_of_two_tasks_with_claims_effects_and_searches_compiles(whole: Whole, tmp_path: Path) -> None:
    plan, outcomes, read = whole
    files = write(find(plan, outcomes, read=read), tmp_path, ["tex"])
    assert {"table.tex", "table-2.tex", "claims.tex", "numbers.tex"} <= {file.name for file in files}
    assert "Undefined control sequence" not in compiled(tmp_path)
    claims = (tmp_path / "claims.tex").read_text()
    assert claims.count("& supported &") == 2
    assert "Without positions a translator fails. (phrases)" in claims


@needs_latex
def test_hostile_names_compile_to_text(made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [made.Arm("baseline", 0.9)]
    arms += [made.Arm(name, 0.9 + index / 100, 0.01, (name, name, name)) for index, name in enumerate(HOSTILE)]
    plan, outcomes = made.experiment(arms, 3, question=" ".join(HOSTILE), name="n")
    write(find(plan, outcomes), tmp_path, ["tex"])
    said = compiled(tmp_path)
    assert "(/etc/passwd" not in said  # so TeX names a file that it reads
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", r"a\_b"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50 %", r"50 \%"),
        ("猫", r"\paribusletter{732B}"),
        ("−1", "$-$1"),
        ("a\x1b[3", r"a{[}3"),
    ],
)
def test_latex_is_escaped(text: str, escaped: str) -> None:
    assert safe(text) == escaped


def test_macros_have_letters_only_and_never_meet(made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [made.Arm("baseline", 0.9), *(made.Arm(name, 0.9) for name in ("heads=1", "heads-1", "heads=8,norm", "猫"))]
    write(find(*made.experiment(arms, 3)), tmp_path, ["tex"])
    names = re.findall(r"\\newcommand\{\\(\w+)\}", (tmp_path / "numbers.tex").read_text())
    assert all(name.isascii() and name.isalpha() for name in names)
    assert len(names) == len(set(names)) == 5 * 8
    assert "headsOneDelta" in names
    assert "headsEightNormDelta" in names


def test_markdown_renders_with_names_as_text(made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [made.Arm("baseline", 0.9)]
    arms += [made.Arm(name, 0.9 + index / 100, 0.01, (name, name, name)) for index, name in enumerate(HOSTILE)]
    plan, outcomes = made.experiment(arms, 3, question=" ".join(HOSTILE), name="n")
    write(find(plan, outcomes), tmp_path, ["md"])
    html = MarkdownIt("commonmark").enable("table").render((tmp_path / "report.md").read_text(encoding="utf-8"))
    assert "<script" not in html
    assert "<a href" not in html
    assert html.count("<h1>") == 1
    plain = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    for name in HOSTILE[:-1]:
        assert " ".join("".join(sign if sign.isprintable() else " " for sign in name).split()) in plain, name
    rows = re.findall(r"<tr>\n(.*?)</tr>", html, re.DOTALL)
    assert {row.count("<td") + row.count("<th") for row in rows} <= {2, 3, 4, 5, 8, 9}


def test_the_page_keeps_hostile_names_as_text(made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [made.Arm("baseline", 0.9), *(made.Arm(name, 0.9, 0.01, (name, name, name)) for name in HOSTILE)]
    plan, outcomes = made.experiment(arms, 3, question=" ".join(HOSTILE), name="n")
    write(find(plan, outcomes, read=made.kept(plan)), tmp_path, ["html", "json"])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "{{7*7}}" in text
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [line["arm"] for line in told["sections"][0]["lines"]][1:] == list(HOSTILE)


def test_parquet_holds_what_the_csv_holds(rich: Path) -> None:
    for name in ("contrasts", "runs", "heads", "lengths"):
        with (rich / f"{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        table = pyarrow.parquet.read_table(rich / f"{name}.parquet")
        assert table.num_rows == len(rows)
        assert table.column_names == list(rows[0])


def test_figures_are_files_for_papers_and_slides(six_arms: Made) -> None:
    drawing = next(drawings(find(*six_arms)))
    assert "#1f2328" not in dark(drawing.svg)
    assert bytes(turned(drawing.svg, "pdf"))[:4] == b"%PDF"
    assert bytes(turned(drawing.svg, "png"))[1:4] == b"PNG"
    assert turned(drawing.svg, "pdf") == turned(drawing.svg, "pdf")


def test_samples_heads_and_lengths_are_in_tables_and_on_the_page(rich: Path) -> None:
    page = (rich / "index.html").read_text(encoding="utf-8")
    for words in ("Attention on the same examples", "What heads do", "only baseline right", "by length of the source"):
        assert words in page
    assert page.count("data:image/png") == 2 * 6 * 3
    with (rich / "heads.csv").open(encoding="utf-8") as file:
        heads = list(csv.DictReader(file))
    assert len(heads) == 29 * 12
    assert {head["label"] for head in heads} == {"local", "mixed", "global", "sink"}
    samples = [json.loads(line) for line in (rich / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(samples) == 29 * 10
    report = (rich / "report.md").read_text(encoding="utf-8")
    assert "only baseline right" in report
