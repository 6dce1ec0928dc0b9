import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from paribus.planning import Plan
from paribus.report import find, write
from paribus.store.record import Outcome

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists() and "CI" not in os.environ,
        reason="needs Debian's chromium: apt-get install chromium",
    ),
]
Made = tuple[Plan, dict[str, Outcome]]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(six_arms: Made, two_tasks: Made, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    return [write(find(*one), folder / name, ["html"])[0] for name, one in (("six", six_arms), ("two", two_tasks))]


def opened(browser: "Browser", path: Path, width: int, height: int) -> "tuple[Page, list[str]]":
    """The page, and all that it complained of or asked for."""
    page = browser.new_page(viewport={"width": width, "height": height})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(path.as_uri())
    heard.remove(path.as_uri())
    return page, heard


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_quiet_asks_for_nothing_and_never_scrolls_sideways(
    browser: "Browser", pages: list[Path], width: int
) -> None:
    for path in pages:
        page, heard = opened(browser, path, width, 844)
        assert heard == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_every_figure_and_picture_has_words(browser: "Browser", pages: list[Path]) -> None:
    page, _ = opened(browser, pages[0], 1280, 800)
    figures = page.locator("figure")
    assert figures.count() >= 5
    for index in range(figures.count()):
        assert figures.nth(index).locator("figcaption").inner_text().strip()
    silent = (
        "[...document.querySelectorAll('svg:not([aria-hidden])')].filter(e => !e.getAttribute('aria-label')).length"
    )
    assert page.evaluate(silent) == 0
    page.close()


def test_all_rows_of_six_arms_are_on_the_first_screen(browser: "Browser", pages: list[Path]) -> None:
    page, _ = opened(browser, pages[0], 1280, 800)
    assert page.evaluate("document.querySelector('table.main').getBoundingClientRect().bottom") < 800
    page.close()


def test_long_names_and_many_arms_fit_a_phone(browser: "Browser", made: SimpleNamespace, tmp_path: Path) -> None:
    arms = [made.Arm("baseline", 0.9), *(made.Arm("x" * 60 + str(index), 0.9) for index in range(12))]
    path = write(find(*made.experiment(arms, 3)), tmp_path, ["html"])[0]
    page, _ = opened(browser, path, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
