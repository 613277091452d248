"""The page in a real browser, where Chromium and playwright are installed: widths, themes, and the keyboard alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from drawn_results import draw_results

from cnndetect.report.build import build_report
from cnndetect.report.inputs import read_inputs

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    detectors = ("good", "fair", "a-detector-with-a-long-name-blur-jpg-prob0.5", "poor")
    draw_results(root / "r", detectors=detectors, families=("crn", "whichfaceisreal"), degradations=("none", "jpeg_75"))
    (root / "r" / "poor" / "crn.nocrop.json").unlink()
    inputs = read_inputs("drawn", protocol="nocrop", results=[root / "r"], draws=20)
    return build_report(inputs, root / "out", sections=["leaderboard", "comparison", "ranks", "families"]).page


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, page_file: Path, *, width: int = 1280, scheme: str = "light"):
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True).new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else page.wrong.append(request.url))
    page.goto(page_file.as_uri())
    return page


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_without_a_network_and_never_wider_than_the_screen(browser, page_file, width, scheme) -> None:
    page = opened(browser, page_file, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.wrong == []
    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert body == ("rgb(252, 252, 251)" if scheme == "light" else "rgb(26, 29, 34)")
    # A drawing has the colours of the page: its words are ink, light on dark.
    word = page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert word == page.evaluate("getComputedStyle(document.body).color")


def test_the_theme_can_be_chosen_and_is_kept(browser, page_file) -> None:
    page = opened(browser, page_file)
    button = page.locator("#theme")
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert button.inner_text() == "Theme: dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(26, 29, 34)"
    page.reload()
    assert button.inner_text() == "Theme: dark"


def test_tables_are_sorted_with_the_keyboard(browser, page_file) -> None:
    page = opened(browser, page_file)

    def names() -> list[str]:
        return page.locator("#table-leaderboard-table tbody th").all_inner_texts()

    assert names() == ["good", "fair", "a-detector-with-a-long-name-blur-jpg-prob0.5", "poor"]
    head = page.locator("#table-leaderboard-table thead th").nth(2)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending" and names()[0] == "good"
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    # What has no number is last in both orders.
    assert names() == ["a-detector-with-a-long-name-blur-jpg-prob0.5", "fair", "good", "poor"]

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") is None and page.locator("[aria-sort]").count() == 1
    assert names() == sorted(names())


def test_the_first_stop_skips_to_the_content_and_every_stop_can_be_seen(browser, page_file) -> None:
    page = opened(browser, page_file, width=360)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("(s => s.outlineStyle + s.outlineWidth)(getComputedStyle(document.activeElement))")
        assert style == "solid3px"


def test_only_boxes_that_scroll_are_stops(browser, page_file) -> None:
    page = opened(browser, page_file, width=360)
    boxes = page.evaluate("""[...document.querySelectorAll('.scroll, .drawn')].map(
        b => [b.tabIndex === 0, b.scrollWidth > b.clientWidth || b.scrollHeight > b.clientHeight])""")
    assert all(stop == scrolls for stop, scrolls in boxes) and any(scrolls for _, scrolls in boxes)
