"""The page of an experiment in which everything happens, opened in Chromium."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paribus.planning import Plan
from paribus.report import find, write
from paribus.store.kept import Kept
from paribus.store.record import Outcome

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
Quiet = Callable[["Browser", Path, int], list[str]]
Whole = tuple[Plan, dict[str, Outcome], Callable[[str], Kept | None]]
# Every text that is seen with a contrast under 4.5 to what is painted behind it.
FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const behind = element => {
    if (!element) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || ['STYLE', 'SCRIPT'].includes(element.tagName) || element.closest('.hidden')) continue;
    const style = getComputedStyle(element);
    const ground = behind(element), ink = element.closest('svg') ? style.fill : style.color;
    const colour = rgba(ink);
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
    if (!opacity) continue;
    const seen = over([colour[0], colour[1], colour[2], colour[3] * opacity], ground);
    const [dim, bright] = [light(seen), light(ground)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dim + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${ink} ${text.slice(0, 40)}`);
  }
  return [...new Set(found)];
}"""


@pytest.fixture(scope="module")
def folder(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan, outcomes, read = whole
    found = find(plan, outcomes, read=read)
    target = tmp_path_factory.mktemp("whole")
    write(found, target, ["html", "csv"])
    return target


def opened(browser: "Browser", folder: Path, width: int = 1280, **more: object) -> "Page":
    page = browser.new_page(viewport={"width": width, "height": 844}, **more)
    page.goto((folder / "index.html").as_uri())
    return page


def test_every_section_is_there(browser: "Browser", folder: Path) -> None:
    page = opened(browser, folder)
    titles = " | ".join(page.locator("h2, h3").all_inner_texts())
    for words in (
        "Arm by arm",
        "Runs",
        "Pairs of runs",
        "Training",
        "Cost",
        "Quality against cost",
        "Length",
        "Attention",
        "Samples",
        "Other metrics and splits",
        "Claims",
        "Tasks together",
        "Effects and interactions, phrases",
        "What each change adds on the way from baseline",
        "Tuning",
        "Warnings",
        "Method",
        "Provenance",
    ):
        assert words in titles, words
    text = page.inner_text("body")
    assert "Left out by hand, counted nowhere: additive, seed 3 (the machine was used by others)." in text
    assert "⊘ excluded" in text
    assert "✕ diverged at 388" in text
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_asked_for_or_complained_of_and_nothing_scrolls_sideways(
    browser: "Browser", folder: Path, width: int, quiet: Quiet
) -> None:
    assert quiet(browser, folder / "index.html", width) == []


def test_each_verdict_is_that_of_the_csv(browser: "Browser", folder: Path) -> None:
    with (folder / "contrasts.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] == "main"]
    told = {(row["task"], row["arm"]): row["verdict"] for row in rows}
    page = opened(browser, folder)
    seen = {}
    for task, table in zip(("phrases", "reverse"), page.locator("table.main").all(), strict=True):
        for line in table.locator("tbody tr:not(.floor):not(.baseline)").all():
            seen[task, line.locator("th").inner_text()] = line.locator(".verdict .word").inner_text()
    assert seen == told
    page.close()


def test_every_figure_says_in_words_what_it_shows(browser: "Browser", folder: Path) -> None:
    page = opened(browser, folder)
    silent = """[...document.querySelectorAll('figure')].filter(figure => {
        const words = figure.querySelector('figcaption')?.textContent.trim() ?? '';
        return words.length < 20;
    }).length"""
    assert page.evaluate(silent) == 0
    unnamed = """[...document.querySelectorAll('svg:not([aria-hidden]), img')].filter(
        picture => !(picture.getAttribute('aria-label') || picture.alt)).length"""
    assert page.evaluate(unnamed) == 0
    assert page.locator("figure").count() > 20
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(browser: "Browser", folder: Path, scheme: str) -> None:
    page = opened(browser, folder, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate(FAINT) == []
    page.close()


def test_paper_cuts_no_figure_and_no_row(browser: "Browser", folder: Path) -> None:
    page = opened(browser, folder, 718)  # A4 less margins of 10 mm, in pixels of CSS
    page.emulate_media(media="print")
    wide = """[...document.querySelectorAll('svg, img, table')].filter(
        e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(wide) == []
    parted = """[...document.querySelectorAll('.panels > div, tr, .warning')].filter(
        e => getComputedStyle(e).breakInside !== 'avoid').length"""
    assert page.evaluate(parted) == 0
    hidden = """[...document.querySelectorAll('details.arm .facts')].filter(
        e => !e.getBoundingClientRect().height).length"""
    assert page.evaluate(hidden) == 0
    assert page.pdf(format="A4")[:4] == b"%PDF"
    page.close()


def test_without_scripts_all_can_be_opened_by_keyboard_and_read(browser: "Browser", folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    first = page.locator("details.arm").first
    assert not first.locator(".facts").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.locator(".facts").is_visible()
    assert page.locator("table.main tbody tr").first.is_visible()
    assert page.locator("#theme-dark").count() == 1  # a choice without scripts
    context.close()
