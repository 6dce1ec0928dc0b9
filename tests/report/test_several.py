"""Several experiments in one report, further sections, and the page of all reports."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest

from paribus.planning import Plan
from paribus.report import find, index, together, write
from paribus.store.record import Outcome

Made = tuple[Plan, dict[str, Outcome]]


@pytest.fixture(scope="module")
def both(six_arms: Made, two_tasks: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    other, outcomes = two_tasks
    found = [find(*six_arms), find(other, outcomes)]
    write(found[0], folder / "six", ["html", "json"])
    write(together(found), folder / "both", ["html", "md", "tex", "csv", "json"])
    return folder


def test_one_report_holds_every_experiment_under_its_name(both: Path) -> None:
    page = (both / "both" / "index.html").read_text(encoding="utf-8")
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    assert page.count('<table class="main"') == 3
    assert "<h1>Does a translator need to be told the order of the words?</h1>" in page  # both ask the same
    with (both / "both" / "contrasts.csv").open(encoding="utf-8") as file:
        assert len([row for row in csv.DictReader(file) if row["role"] == "main"]) == 5 + 2 * 3
    assert (both / "both" / "table-3.tex").exists()


def test_the_page_of_all_reports_tells_what_each_says(both: Path) -> None:
    (both / "older").mkdir(exist_ok=True)
    (both / "older" / "index.html").write_text("")
    text = index(both)
    assert 'href="six/index.html"' in text
    assert "Does a translator need" in text
    assert 'href="older/index.html"' in text
    assert "<script" not in text
    assert index(both) == text


def test_names_of_folders_are_text_in_the_page_of_all_reports(tmp_path: Path) -> None:
    (tmp_path / "a&b@x=<1>").mkdir()
    (tmp_path / "a&b@x=<1>" / "index.html").write_text("")
    text = index(tmp_path)
    assert "a&amp;b@x=&lt;1&gt;" in text
    assert 'href="a%26b%40x%3D%3C1%3E/index.html"' in text


def test_claims_and_searches_are_on_the_page_in_every_format(made: SimpleNamespace, tmp_path: Path) -> None:
    plan, outcomes = made.experiment(made.six, 5)
    claims = [{"arm": "no_position", "expect": "worse", "text": "Order <matters>."}]
    plan = made.replace(plan, claims=claims)
    write(find(plan, outcomes), tmp_path, ["html", "md"])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Order &lt;matters&gt;." in page
    assert "supported" in page
    assert "✓ supported" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_another_metric_switches_the_tables_of_all_experiments(six_arms: Made, two_tasks: Made) -> None:
    whole = together([find(*six_arms, metric="loss"), find(*two_tasks, metric="loss")])
    assert {part.metric for part in whole.sections} == {"loss"}
    assert {row["metric"] for row in whole.tables.contrasts if row["role"] == "main"} == {"loss"}
    assert [warning.code for warning in whole.warnings].count("POSTHOC") == 2
