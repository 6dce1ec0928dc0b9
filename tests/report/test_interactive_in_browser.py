"""The page that `report --interactive` writes, opened in Chromium."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from paribus.planning import Plan
from paribus.report import find, write
from paribus.store.record import Outcome

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
Made = tuple[Plan, dict[str, Outcome]]
Quiet = Callable[["Browser", Path, int], list[str]]
NAME = "<b>bold</b></script>"


@pytest.fixture(scope="module")
def pages(six_arms: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("interactive")
    found = find(*six_arms)
    alive = write(found, folder / "alive", ["html"], interactive=True)[0]
    return alive, write(found, folder / "still", ["html"])[0]


def test_numbers_under_the_mouse_are_told_and_nothing_is_asked_for(
    browser: "Browser", pages: tuple[Path, Path], quiet: Quiet
) -> None:
    assert quiet(browser, pages[0], 1280) == []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(pages[0].as_uri())
    figure = page.locator("figure.narrow").first
    figure.scroll_into_view_if_needed()
    marks = figure.locator('.vega-embed [aria-roledescription="point"]')
    marks.first.wait_for(state="attached")
    marks.first.hover(force=True)
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    assert "arm" in tip.inner_text()
    assert [text for text in heard if not text.startswith("data:")] == [pages[0].as_uri()]
    page.close()


def test_a_picture_keeps_its_words_and_its_place_when_it_comes_alive(
    browser: "Browser", pages: tuple[Path, Path]
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(pages[0].as_uri())
    figure = page.locator("figure.narrow").first
    words = figure.locator("svg").first.get_attribute("aria-label")
    figure.scroll_into_view_if_needed()
    figure.locator(".vega-embed svg").wait_for()
    assert figure.locator("[role=img]").first.get_attribute("aria-label") == words
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_without_scripts_the_still_pictures_stay(browser: "Browser", pages: tuple[Path, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages[0].as_uri())
    alive = page.locator("figure svg").count()
    page.goto(pages[1].as_uri())
    assert alive == page.locator("figure svg").count() > 10
    context.close()


def test_only_the_page_that_was_asked_for_has_a_script(
    pages: tuple[Path, Path], six_arms: Made, tmp_path: Path
) -> None:
    alive, still = (path.read_text(encoding="utf-8") for path in pages)
    assert "<script" not in still
    assert "script-src" not in still
    assert "script-src 'unsafe-inline'" in alive
    assert "unsafe-eval" not in alive.split("</head>")[0]
    again = write(find(*six_arms), tmp_path, ["html"], interactive=True)[0]
    assert again.read_text(encoding="utf-8") == alive


def test_hostile_names_stay_text_in_charts(
    browser: "Browser", made: SimpleNamespace, tmp_path: Path, quiet: Quiet
) -> None:
    plan, outcomes = made.experiment([made.Arm("baseline", 0.9), made.Arm(NAME, 0.8, 0.01, ("norm", NAME, NAME))], 3)
    path = write(find(plan, outcomes), tmp_path, ["html"], interactive=True)[0]
    assert quiet(browser, path, 1280) == []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    page.locator("figure.narrow").first.scroll_into_view_if_needed()
    page.locator("figure.narrow .vega-embed").first.wait_for()
    assert page.locator("figure b b, .vega-embed b").count() == 0
    page.close()
