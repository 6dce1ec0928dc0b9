"""`compare` on tables written by hand and exported by trackers."""

import csv
import io
from pathlib import Path

import pytest

from paribus.__main__ import main
from paribus.cli.compare import read
from paribus.errors import ParibusError
from paribus.stats.table import tidy

VALUES = {
    "vanilla": (0.90, 0.92, 0.91, 0.93, 0.92),
    "rope": (0.95, 0.96, 0.97, 0.97, 0.98),
    "nope": (0.5, 0.6, 0.4, 0.5, 0.6),
}
LONG = "arm,seed,value\n" + "".join(f"{a},{s},{v}\n" for a, some in VALUES.items() for s, v in enumerate(some, 1))
TRACKER = "Name,State,Runtime,config.seed,acc\n" + "".join(
    f"{a}-seed{s},finished,60,{s},{v}\n" for a, some in VALUES.items() for s, v in enumerate(some, 1)
)
WIDE = "seed;vanilla;rope;nope\n" + "".join(
    f"{s};" + ";".join(str(some[s - 1]) for some in VALUES.values()) + "\n" for s in range(1, 6)
)
CURVES = (
    "Step," + ",".join(f"{a}-seed{s} - acc" for a in VALUES for s in range(1, 6))
    + "\n10," + ",".join(str(v) for some in VALUES.values() for v in some) + "\n"
)  # fmt: skip


def call(folder: Path, text: str, *words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    (folder / "table.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["compare", "table.csv", *words])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [(LONG, []), (TRACKER, ["--metric", "acc"]), (WIDE, []), (CURVES, ["--metric", "acc"])],
)
def test_a_table_gets_the_contrasts_and_the_page(
    tmp_path: Path, text: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--baseline", "vanilla", "--smallest-effect", "0.01", *words]
    assert call(tmp_path, text, *options, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Of 2 arms, rope (+0.050 [" in printed
    assert "nope (" in printed
    folder = tmp_path / "reports" / "table@compare"
    with (folder / "contrasts.csv").open(encoding="utf-8") as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    assert (rows["rope"]["verdict"], rows["nope"]["verdict"]) == ("better", "worse")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "paribus compare table.csv --baseline vanilla" in page
    assert "paribus run" not in page


GERMAN = "arm;seed;value\n" + "".join(
    f"{a};{s};{str(v).replace('.', ',')}\n" for a, some in VALUES.items() for s, v in enumerate(some, 1)
)
SPACED = "arm , seed , value \n" + "".join(
    f" {a} , {s} , {v} \n" for a, some in VALUES.items() for s, v in enumerate(some, 1)
)
REMARKS = "seed,vanilla,rope,nope,remark\n" + "".join(
    f"{s}," + ",".join(str(some[s - 1]) for some in VALUES.values()) + ",slow\n" for s in range(1, 6)
)
SEEDS_WIDE = "arm,1,2,3,4,5,remark\n" + "".join(f"{a},{','.join(map(str, some))},slow\n" for a, some in VALUES.items())


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + LONG,
        GERMAN,
        "sep=;\n" + GERMAN,
        LONG.replace(",", "\t"),
        LONG.replace(",", "|"),
        SPACED,
        "# by hand\n\n" + LONG + ",,\n\n",
        LONG.replace("\n", ",\n").replace("value,", "value"),
        REMARKS,
        SEEDS_WIDE,
    ],
    ids=["mark", "commas", "sep", "tabs", "bars", "spaces", "comment", "ends", "remarks", "seeds"],
)
def test_tables_as_people_and_spreadsheets_write_them_say_the_same(tmp_path: Path, text: str) -> None:
    for name, encoding in (("a.csv", "utf-8"), ("b.csv", "utf-16")):
        (tmp_path / name).write_text(text, encoding=encoding)
        frame, _ = tidy(read(tmp_path / name), baseline="vanilla")
        found = {(row.arm, int(row.seed)): row.value for row in frame.itertuples()}
        assert found == {(arm, seed): v for arm, some in VALUES.items() for seed, v in enumerate(some, 1)}


HOSTILE = ("<script>alert(1)</script>", "{{7*7}}", "a|b", "x" * 300, "\u202eabc", "=cmd()", "two\nlines")


def test_names_of_arms_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(arm, seed, 0.9 + 0.01 * ((seed * len(arm)) % 5)) for arm in ("vanilla", *HOSTILE) for seed in range(5)]
    text = io.StringIO()
    csv.writer(text).writerows([("arm", "seed", "value"), *rows])
    assert call(tmp_path, text.getvalue(), "--baseline", "vanilla", monkeypatch=monkeypatch) == 0
    folder = tmp_path / "reports/table@compare"
    assert "<script>alert(1)" not in (folder / "index.html").read_text(encoding="utf-8")
    with (folder / "contrasts.csv").open(encoding="utf-8", newline="") as file:
        assert tuple(row["arm"] for row in csv.DictReader(file)) == HOSTILE


def test_less_can_be_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, LONG, "--baseline", "vanilla", "--direction", "min", monkeypatch=monkeypatch)
    assert "nope (+" in capsys.readouterr().out


def test_seeds_may_be_words_and_runs_may_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "arm,seed,value,status\n" + "".join(
        f"{a},fold-{s},{v},{'failed' if (a, s) == ('nope', 2) else 'ok'}\n"
        for a, some in VALUES.items()
        for s, v in enumerate(some, 1)
    )
    assert call(tmp_path, text, "--baseline", "vanilla", monkeypatch=monkeypatch) == 0
    with (tmp_path / "reports/table@compare/contrasts.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["arm"] == "nope")
    assert (row["n_failed"], row["n_pairs"]) == ("1", "4")


def test_floors_of_an_exported_table_are_no_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    floors = "".join(f"floor:{kind},{seed},0.1\n" for kind in ("majority", "ngram") for seed in range(1, 6))
    assert call(tmp_path, LONG + floors, "--baseline", "vanilla", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr()
    assert "left out: floor:majority, floor:ngram; they are untrained reference rows" in told.err
    assert "Of 2 arms" in told.out
    assert "floor:" not in (tmp_path / "reports" / "table@compare" / "contrasts.csv").read_text(encoding="utf-8")


def test_tables_whose_names_differ_in_a_letter_of_any_script_have_reports_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tabelle ä", "tabelle o\u0308", "表"):
        (tmp_path / f"{name}.csv").write_text(LONG, encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["compare", f"{name}.csv", "--baseline", "vanilla"])
        assert not ended.value.code
    found = {folder.name for folder in (tmp_path / "reports").iterdir() if (folder / "index.html").is_file()}
    assert found == {"tabelle_ä@compare", "tabelle_ö@compare", "表@compare"}


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("arm,value\na,1\n", [], "the table lacks a column for seed; it has arm, value"),
        ("arm,seed,value\nvanilla,1,1\nvanilla,1,2\n", [], "more than one value for arm vanilla, seed 1"),
        ("arm,seed,value\nvanilla,1,1\n", [], "table.csv: the only arm is vanilla; a comparison needs another"),
        (
            "arm,seed,value\nvanilla,1,high\nrope,1,1\n",
            [],
            "arm vanilla, seed 1 has the value 'high', which is no number",
        ),
        (LONG.replace("vanilla", "plain"), [], "no arm is called 'vanilla'. Known: nope, plain, rope"),
        ("", [], "table.csv cannot be read as a table: needs a line that names the columns, and under it a line for"),
        (
            "# made by hand\narm,seed,value\nvanilla,1,1\nrope,1,1,2,3\n",
            [],
            "table.csv cannot be read as a table: line 4 has 5 columns, the first line names 3; needs as many in each",
        ),
        ("arm,seed,value\n", [], "the table has no rows"),
        ("arm,seed,value,value\nvanilla,1,1,2\n", [], "table.csv: two columns are called 'value'"),
        ("vanilla,1,0.9\nrope,1,0.8\n", [], "the first line must name the columns; it holds the number 0.9"),
        ("arm,seed,value\nvanilla,1,1\nrope,1,2,3\n", [], "line 3 has 4 columns, the first line names 3"),
        ('arm,seed,value\n"vanilla,1,1\nrope,1,2\n', [], "a quotation mark is opened and never closed"),
        ("arm;seed;value\nvanilla;1;1.234,5\nrope;1;1\n", [], "the value '1.234,5', which is no number"),
        ("arm,seed,value\nvanilla,1,1e100\nrope,1,1\n", [], "which is too large to compare"),
        ("seed,vanilla,rope\n1,.9,.8\n2,.9,oops\n", [], "arm rope, seed 2 has the value 'oops', which is no number"),
        ("arm,seed,value\nvanilla,1,90%\nrope,1,91%\n", [], "the value '90%', which is no number"),
        ("arm,seed,value,task\nvanilla,1,1,a\nrope,1,1,a\nrope,1,1,b\n", [], "no arm of task b is called 'vanilla'"),
        (
            "arm,seed,value\n" + "".join(f"{arm},{seed},1\n" for arm in ("vanilla", "rope") for seed in range(3000)),
            [],
            "table.csv holds 6,000 runs; a page takes up to 5,000. --format csv,json writes the tables of any number",
        ),
        (LONG, ["--smallest-effect", "-1"], "--smallest-effect: got -1"),
        (LONG, ["--alpha", "0.7"], "--alpha: got 0.7"),
        (LONG, ["--metric", "acc"], "--metric: the table has no column 'acc'"),
        (LONG, ["--format", "docx"], "--format: there is no format 'docx'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    tmp_path: Path,
    text: str,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(tmp_path, text, "--baseline", "vanilla", *words, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_file_in_another_alphabet_is_told_how_to_be_saved(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(LONG.replace("rope", "über").encode("latin-1"))
    with pytest.raises(ParibusError, match="not UTF-8; save it as CSV UTF-8"):
        read(tmp_path / "table.csv")


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "nowhere.csv", "--baseline", "a"])
    assert ended.value.code == 2
    assert "there is no file nowhere.csv" in capsys.readouterr().err


def test_tables_of_any_number_of_runs_are_written_without_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (f"{arm},{seed},{base + seed % 7}\n" for arm, base in (("vanilla", 1), ("rope", 2)) for seed in range(3000))
    text = "arm,seed,value\n" + "".join(rows)
    assert call(tmp_path, text, "--baseline", "vanilla", "--format", "csv", monkeypatch=monkeypatch) == 0
    folder = tmp_path / "reports/table@compare"
    assert not (folder / "index.html").exists()
    with (folder / "contrasts.csv").open(encoding="utf-8") as file:
        assert [row["n_pairs"] for row in csv.DictReader(file)] == ["3000"]


@pytest.mark.parametrize(
    "rows",
    [
        "vanilla,1,NaN\nvanilla,2,.9\nrope,1,.9\nrope,2,.8\n",
        "vanilla,1,inf\nvanilla,2,.9\nrope,1,.9\nrope,2,-inf\n",
        "vanilla,1,.9\nrope,1,.8\n",
        "vanilla,1,.9\nvanilla,2,.9\nrope,3,.8\nrope,4,.8\n",
        "vanilla,1,\nvanilla,2,\nrope,1,\nrope,2,\n",
        "vanilla,1,1e74\nvanilla,2,-1e74\nrope,1,1e74\nrope,2,0\n",
        "vanilla,1,1e-320\nvanilla,2,2e-320\nrope,1,2e-320\nrope,2,0\n",
        "vanilla,1.5,.9\nvanilla,b,.9\nrope,1.5,.8\nrope,99999999999999999999,.8\n",
    ],
    ids=["nan", "inf", "one", "apart", "empty", "large", "small", "seeds"],
)
def test_no_verdict_is_drawn_from_tables_that_hold_none(
    tmp_path: Path, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--baseline", "vanilla", "--format", "csv,json"]
    assert call(tmp_path, "arm,seed,value\n" + rows, *options, monkeypatch=monkeypatch) == 0
    with (tmp_path / "reports/table@compare/contrasts.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["verdict"] in ("insufficient", "unstable", "failed")
