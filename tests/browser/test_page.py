"""The page of a run in a browser: quiet, asking for nothing, in light and dark, for hands and for keyboards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.releases import release
from unit.report.made_up import hostile, narrowed, red

from vitgate.report.page.html import render

from .conftest import Opened

ENGINES = ("fbgemm", "qnnpack")  # half of the rows: axe's time grows with them, and the others are alike
RECORDS = {
    "newest": lambda: [narrowed(release(version), *ENGINES) for version in ("2.12.1", "2.15.0")],
    "failing": lambda: [narrowed(red(), *ENGINES)],
    "hostile": lambda: [hostile(release("2.15.0"))],
}
TABLE = "table.sortable"
PHONE = {"viewport": {"width": 375, "height": 800}, "device_scale_factor": 2, "has_touch": True}


@pytest.fixture(scope="module")
def pages(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the pages' files by name, each made once."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in RECORDS.items():
        (folder / f"{name}.html").write_text(render(make()), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in RECORDS}


@pytest.fixture(params=RECORDS)
def path(pages: Any, request: pytest.FixtureRequest) -> Any:
    return pages[request.param]


def open_all(page: Any, most: Any = 100_000) -> None:
    """Open all that has no more elements than that."""
    opening = "each.open = each.querySelectorAll('*').length < most"
    page.tab.evaluate(f"most => {{ for (const each of document.querySelectorAll('details')) {opening} }}", most)


def column(page: Any, number: Any) -> Any:
    """Return the texts of one column of the first table."""
    return page.tab.locator(f"{TABLE} >> nth=0").locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def sorted_as(page: Any, number: Any) -> Any:
    return page.tab.locator(f"{TABLE} >> nth=0").locator(f"thead th:nth-child({number})").get_attribute("aria-sort")


def test_page_logs_nothing_and_requests_nothing(opened: Callable[..., Opened], path: Any) -> None:
    page = opened(path)
    open_all(page)

    assert page.said == []
    assert page.asked == [path.as_uri()]


def test_script_in_record_text_is_not_executed(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["hostile"])

    assert page.tab.evaluate("[...document.scripts].length") == 1
    page.tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.tab.evaluate("window.ran") is None
    assert any("Content Security Policy" in said for said in page.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_reports_no_violation(opened: Callable[..., Opened], path: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='pip install "vitgate[browser]"').Axe()
    page = opened(path, color_scheme=scheme)
    open_all(page, most=150)  # something of each kind

    found = axe.run(page.tab)

    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("device", [PHONE, {}], ids=["phone", "desk"])
def test_page_has_no_horizontal_scrolling(opened: Callable[..., Opened], path: Any, device: dict[str, Any]) -> None:
    page = opened(path, **device)
    open_all(page)

    assert page.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_wide_tables_scroll_inside_their_containers(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["newest"], **PHONE)
    box = page.tab.locator(".scroll").first

    assert box.evaluate("each => each.scrollWidth > each.clientWidth")
    box.focus()
    page.tab.keyboard.press("ArrowRight")
    assert page.becomes("document.activeElement.scrollLeft > 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_preferred_color_scheme(opened: Callable[..., Opened], pages: Any, scheme: str) -> None:
    page = opened(pages["newest"], color_scheme=scheme)
    shade = "each => getComputedStyle(each).{}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)"

    body = page.tab.locator("body").evaluate(shade.format("backgroundColor"))
    letters = page.tab.locator("svg.plot text").first.evaluate(shade.format("fill"))

    assert (body > 400, letters > 400) == (scheme == "light", scheme == "dark")


def test_click_cycles_ascending_descending_and_original_order(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["newest"])
    before, button = column(page, 5), page.tab.locator(f"{TABLE} >> nth=0").locator("thead button").nth(4)

    def numbers() -> Any:
        return [float(text.split()[0]) for text in column(page, 5) if text != "–"]

    button.click()
    assert sorted_as(page, 5) == "ascending"
    assert numbers() == sorted(numbers())
    assert column(page, 5)[-1] == "–"
    button.click()
    assert sorted_as(page, 5) == "descending"
    assert numbers() == sorted(numbers(), reverse=True)
    assert column(page, 5)[-1] == "–"
    button.click()
    assert (sorted_as(page, 5), column(page, 5)) == (None, before)


def test_only_one_column_is_marked_as_sorted(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["newest"])
    for number in (0, 4):
        page.tab.locator(f"{TABLE} >> nth=0").locator("thead button").nth(number).click()

    assert page.tab.locator(f"{TABLE} >> nth=0").locator("[aria-sort]").count() == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_table_is_sortable_by_keyboard(opened: Callable[..., Opened], pages: Any, key: str) -> None:
    page = opened(pages["newest"])
    page.tab_to(f"{TABLE} thead button")

    page.tab.keyboard.press(key)

    assert sorted_as(page, 1) == "ascending"
    assert column(page, 1) == sorted(column(page, 1))
    assert page.focused(f"{TABLE} th[aria-sort] button")


def test_failed_claim_opens_by_keyboard(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["failing"])
    page.tab_to("details.entry > summary")

    page.tab.keyboard.press("Enter")

    (entry,) = page.tab.locator("details.entry[open]").all()
    assert "failed at load with RuntimeError" in entry.inner_text()
    assert entry.locator("text=On recorded releases").is_visible()


def test_link_to_claim_opens_it(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["failing"])
    page.tab.locator("td details summary", has_text="FAILED").first.click()

    page.tab.locator("td details[open] a").first.click()

    assert page.tab.locator("details.entry[open]").get_by_text("12.5 dB").first.is_visible()


def test_focused_element_has_visible_outline(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["newest"])
    page.tab_to(f"{TABLE} thead button")

    assert page.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_page_without_javascript_lacks_only_buttons(opened: Callable[..., Opened], pages: Any) -> None:
    page = opened(pages["newest"], java_script_enabled=False)

    assert page.tab.locator("thead button").count() == 0
    assert page.tab.locator(f"{TABLE} >> nth=0").locator("tbody tr").count() == 12
    page.tab.locator("details.entry > summary").first.click()
    assert page.tab.locator("details.entry[open]").count() == 1


def test_plot_labels_do_not_overlap(opened: Callable[..., Opened], path: Any) -> None:
    page = opened(path)
    overlapping = """() => [...document.querySelectorAll('svg.plot')].flatMap(plot => {
      const texts = [...plot.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
      return texts.flatMap(([a, one], at) => texts.slice(at + 1).filter(([b, two]) =>
        Math.min(one.right, two.right) - Math.max(one.left, two.left) > 1.5 &&
        Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 0.4 * Math.min(one.height, two.height)
      ).map(([b]) => [a, b]));
    })"""

    assert page.tab.evaluate(overlapping) == []
