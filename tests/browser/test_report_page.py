"""The page in a real browser: width, errors, network, both colour schemes, contrast as drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from howdah.report import html
from tests.browser.chromium import INSTALL, Browser, Page, browser, executable
from tests.golden import samples

CHROMIUM = executable()
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=f"needs Chromium: {INSTALL}"),
    pytest.mark.xdist_group("chromium"),
]
LOOKS = [(width, dark) for width in (360, 390, 768, 1400, 1600) for dark in (False, True)]

# Every text that is drawn, with the ratio of its colour to that of the ground below it.
CONTRASTS = """(() => {
  const rgb = text => { const m = text.match(/[\\d.]+/g).map(Number); return m; };
  const lum = c => { const [r, g, b] = c.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c.slice(0, 3); }
    return [255, 255, 255]; };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('script, style, title, .inside')) continue;
    const svg = e instanceof SVGElement;
    const style = getComputedStyle(e);
    const a = lum(rgb(svg ? style.fill : style.color).slice(0, 3));
    const b = lum(ground(svg ? e.ownerSVGElement.parentElement : e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push([e.textContent.trim().slice(0, 40), ratio]);
  }
  return faint;
})()"""
OVERFLOWING = """[...document.querySelectorAll('body *')]
  .filter(e => e.checkVisibility() && !e.closest('pre, .scroll, svg, .skip'))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + '.' + e.className)"""
CUT_TEXTS = """[...document.querySelectorAll('svg')].filter(s => s.checkVisibility())
  .flatMap(s => { const box = s.getBoundingClientRect();
    return [...s.querySelectorAll('text')].filter(t => { const r = t.getBoundingClientRect();
      return r.left < box.left - 2 || r.right > box.right + 2; }).map(t => t.textContent); })"""
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with browser(CHROMIUM) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("page")
    after = samples.diagnosis(samples.CURED, taken_at=samples.later())
    pages = {
        "sick": html.page(samples.diagnosis(), samples.sick_snapshot(), rules=samples.rules()),
        "crowded": html.page(*samples.crowded()),
        "blind": html.page(samples.silenced(), samples.blind_snapshot()),
        "before_after": html.page(
            after,
            samples.blind_snapshot(),
            samples.diagnosis(),
            before_snapshot=samples.sick_snapshot(),
            rules=samples.rules(),
        ),
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


def shown(running: Browser, path: Path, width: int, *, dark: bool) -> Page:
    page = running.page(width, dark=dark)
    page.open(path)
    return page


@pytest.mark.parametrize("name", ["sick", "crowded", "blind", "before_after"])
@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_it_fits_can_be_read_and_is_silent(
    running: Browser, files: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    page = shown(running, files[name], width, dark=dark)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate(CUT_TEXTS) == []
    assert page.evaluate(CONTRASTS) == []
    assert not page.events("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    asked = [each["request"]["url"] for each in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [files[name].as_uri()]


def test_both_colour_schemes_are_followed(running: Browser, files: dict[str, Path]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = shown(running, files["sick"], 1400, dark=False).evaluate(ground)
    dark = shown(running, files["sick"], 1400, dark=True).evaluate(ground)
    assert (light, dark) == ("rgb(244, 245, 247)", "rgb(16, 18, 22)")


def test_the_narrow_picture_is_shown_on_a_narrow_page(
    running: Browser, files: dict[str, Path]
) -> None:
    widths = "[...document.querySelectorAll('svg')].filter(s => s.checkVisibility())" + (
        ".map(s => s.viewBox.baseVal.width)"
    )
    for width, drawn in ((390, 340), (1400, 620)):
        page = shown(running, files["sick"], width, dark=False)
        assert page.evaluate(widths) == [drawn] * 5


def test_before_and_after_stacks_on_a_narrow_page(running: Browser, files: dict[str, Path]) -> None:
    overhang = "(e => e.scrollWidth - e.clientWidth)(document.querySelector('.changes').parentNode)"
    tallest = "Math.max(...[...document.querySelectorAll('.changes tr')].map(r => r.offsetHeight))"
    page = shown(running, files["before_after"], 390, dark=False)
    assert page.evaluate(overhang) <= 0
    assert page.evaluate(tallest) < 200


def test_it_says_everything_without_scripts(running: Browser, files: dict[str, Path]) -> None:
    page = running.page(1400, dark=False)
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(files["sick"])
    nodes: Any = page.call("DOM.getDocument", depth=-1)
    assert "BUTTON" not in str(nodes)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    words = page.evaluate("document.body.innerText")
    assert "DROP INDEX CONCURRENTLY" in words
    assert "To know it:" in words


def test_it_unfolds_when_printed(running: Browser, files: dict[str, Path]) -> None:
    page = shown(running, files["sick"], 1400, dark=False)
    folded = "document.querySelectorAll('details:not([open])').length"
    assert page.evaluate(folded) > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(folded) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(folded) > 0
