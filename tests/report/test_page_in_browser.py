from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from paribus.planning import Plan
from paribus.report import find, write
from paribus.store.record import Outcome

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
Made = tuple[Plan, dict[str, Outcome]]
Quiet = Callable[["Browser", Path, int], list[str]]


@pytest.fixture(scope="module")
def pages(six_arms: Made, two_tasks: Made, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    return [write(find(*one), folder / name, ["html"])[0] for name, one in (("six", six_arms), ("two", two_tasks))]


def opened(browser: "Browser", path: Path, width: int, height: int) -> "Page":
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_quiet_asks_for_nothing_and_never_scrolls_sideways(
    browser: "Browser", pages: list[Path], width: int, quiet: Quiet
) -> None:
    for path in pages:
        assert quiet(browser, path, width) == []


def test_every_figure_and_picture_has_words(browser: "Browser", pages: list[Path]) -> None:
    page = opened(browser, pages[0], 1280, 800)
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
    page = opened(browser, pages[0], 1280, 800)
    assert page.evaluate("document.querySelector('table.main').getBoundingClientRect().bottom") < 800
    page.close()


def test_long_names_and_many_arms_fit_a_phone(
    browser: "Browser", made: SimpleNamespace, tmp_path: Path, quiet: Quiet
) -> None:
    arms = [made.Arm("baseline", 0.9), *(made.Arm("x" * 60 + str(index), 0.9) for index in range(12))]
    path = write(find(*made.experiment(arms, 3)), tmp_path, ["html"])[0]
    assert quiet(browser, path, 390) == []
