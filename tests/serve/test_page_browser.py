"""The page in a real browser, where Chromium and playwright are installed: widths, themes, the keyboard, the sheet and its CSV.

CNNDETECT_SCREENSHOTS=FOLDER keeps pictures of the page, to be looked at.
"""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from served import png, serving, tiny

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

FILES = [("weak.png", 20), ("strong.png", 90), ("a name that is long enough to be broken over several lines of a telephone.png", 40)]


@pytest.fixture(scope="module")
def server():
    with serving(tiny()) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, server, *, width: int = 1280, scheme: str = "light"):
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.set_default_timeout(90_000)
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith((server.url, "data:", "blob:")) else page.wrong.append(one.url))
    page.goto(server.url)
    page.locator("#detector option").first.wait_for(state="attached")
    return page


def give(page, *files: tuple[str, bytes]) -> None:
    page.locator("#files").set_input_files([{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files])


def scored(page, count: int, of: int | None = None) -> None:
    page.locator("#status", has_text=f"{count} of {of or count} scored").wait_for()


def all_given(page) -> None:
    give(page, *((name, png((96, 80), seed=place, deviation=deviation)) for place, (name, deviation) in enumerate(FILES)))
    page.locator("#redelivery tbody tr").last.wait_for()
    scored(page, len(FILES))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_scored_ranked_and_shown_at_every_width(browser, server, width, scheme) -> None:
    page = opened(browser, server, width=width, scheme=scheme)
    all_given(page)
    assert page.locator("#sheet tbody th").all_inner_texts() == ["strong.png", FILES[2][0], "weak.png"]
    assert page.locator("#detail-title").inner_text() == "weak.png" and page.locator("#heat").is_visible()
    assert page.locator("#redelivery tbody tr").count() == 8 and page.locator("#spectrum svg .line").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Two columns share the heading "Fakeness"; where the first is hidden, the second shows it.
    second = page.locator("#redelivery th .away").bounding_box()
    assert page.locator("#redelivery th").nth(1).is_visible() == (second["x"] < 0) == (width > 400)
    assert page.wrong == []
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(252, 252, 251)" if scheme == "light" else "rgb(26, 29, 34)")
    if folder := os.environ.get("CNNDETECT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"page-{width}-{scheme}.png", full_page=True)


def test_the_keyboard_alone_reaches_everything(browser, server) -> None:
    page = opened(browser, server)
    all_given(page)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("(a => a.id || a.className || a.textContent)(document.activeElement)"))
        if seen[-1] == "strong.png":
            page.keyboard.press("Enter")
            break
    assert {"skip", "theme", "files", "detector", "csv", "clear", "strong.png"} <= set(seen)
    assert page.locator("#detail-title").inner_text() == "strong.png"
    assert page.evaluate("document.activeElement.id") == "detail-title"
    assert page.locator("#sheet [aria-current]").inner_text() == "strong.png"


def test_every_control_has_a_name_and_every_picture_its_words(browser, server) -> None:
    page = opened(browser, server)
    all_given(page)
    nameless = page.evaluate("""[...document.querySelectorAll('button, select, input, [role=region], [role=img]')].filter(one =>
        !(one.labels && one.labels.length) && !one.getAttribute('aria-label') && !one.textContent.trim()).map(one => one.outerHTML)""")
    assert nameless == []
    assert page.evaluate("[...document.images].filter(one => !one.hasAttribute('alt')).length") == 0
    assert "Heat map" in page.locator("#heat").get_attribute("alt")
    assert "on a scale from 0 to 1" in page.locator("#band").get_attribute("aria-label")


def test_a_damaged_file_is_named_and_the_others_go_on_into_the_csv(browser, server, tmp_path) -> None:
    page = opened(browser, server)
    give(page, ("good.png", png(seed=1)), ("=cut.png", png()[:-200]), ("flat.png", png(deviation=0)))
    scored(page, 2, 3)
    assert "=cut.png cannot be decoded" in page.locator("#problems li").inner_text()
    with page.expect_download() as download:
        page.locator("#csv").click()
    download.value.save_as(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["path"] for row in rows] == ["good.png", "flat.png", "'=cut.png"]
    assert [row["label"] for row in rows[:2]] == ["fake", "real"] and "cannot be decoded" in rows[2]["error"]
    assert [message for message in page.wrong if "422" not in message] == []
    page.locator("#clear").click()
    assert page.locator("#detail").is_hidden() and page.locator("#sheet").is_hidden()


def test_an_example_and_another_theme(browser, server) -> None:
    page = opened(browser, server)
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(26, 29, 34)"
    examples = page.locator("#examples button")
    if examples.count():  # the suite is installed
        examples.first.click()
        scored(page, 1)
        assert page.locator("#detail-title").inner_text().startswith("photograph")
        assert page.locator("#spectrum-photographs").is_visible()
