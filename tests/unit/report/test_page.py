"""The page of a run: what stands in it, of real records, of failing ones, and of records that are anybody's."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from vitgate.records.record import Environment, Record
from vitgate.report.page import html
from vitgate.report.page.views import View

from ..conftest import Refuses
from ..releases import release
from .made_up import changed, HOSTILE, hostile, red, without_blocks

html5lib = pytest.importorskip("html5lib", reason="html5lib comes with the extra `test`")
RELEASES = ("1.13.1", "2.2.2", "2.6.0", "2.9.1", "2.12.1", "2.15.0")


class Page:
    """A page as a browser's parser sees it."""

    def __init__(self, text: str) -> None:
        self.text = text
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        self.root = parser.parse(text)
        self.errors = parser.errors

    def all(self, name: str) -> Any:
        return [element for element in self.root.iter() if _name(element) == name]

    def words(self, element: Any = None) -> str:
        return " ".join(" ".join((self.root if element is None else element).itertext()).split())

    def named(self, ident: str) -> Any:
        (found,) = [element for element in self.root.iter() if element.get("id") == ident]
        return found

    def table(self, caption: str) -> Any:
        """Return the table whose caption begins so."""
        captions = {table: table.find("caption") for table in self.all("table")}
        (found,) = [each for each, own in captions.items() if own is not None and self.words(own).startswith(caption)]
        return found

    def rows(self, caption: str) -> Any:
        """Return the texts of that table, line by line."""
        return [[self.words(cell) for cell in row] for row in self.table(caption).find("tbody").findall("tr")]

    def entry(self, name: str) -> Any:
        """Return the element that opens to say all of one claim."""
        (found,) = [each for each in self.all("details") if self.words(each.find("summary")).startswith(name)]
        return self.words(found)


def _name(element: Any) -> Any:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


@pytest.fixture(scope="module")
def newest() -> Page:
    return Page(html.render([release(version) for version in RELEASES]))


@pytest.fixture(scope="module")
def failing() -> Page:
    return Page(html.render([red()]))


@pytest.fixture(scope="module")
def strange() -> Page:
    return Page(html.render([hostile(release("2.15.0"))]))


@pytest.fixture(scope="module")
def older() -> Page:
    return Page(html.render([without_blocks(release("2.15.0"))]))


def cell_of(*place: object) -> Any:
    (found,) = [cell for cell in release("2.15.0").cells if (cell.case, cell.engine, cell.variant) == place]
    return found


@pytest.fixture(params=["newest", "failing", "strange"])
def page(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


# ---- whatever the record


def test_page_is_well_formed(page: Any) -> None:
    assert page.errors == []


def test_page_loads_nothing_external(page: Any) -> None:
    wanted = ("img", "link", "iframe", "object", "embed", "base", "image", "audio", "form")
    attributes = [(_name(each), key, each.get(key)) for each in page.root.iter() for key in each.keys()]  # noqa: SIM118  # iterating over an element gives its children
    addresses = {(tag, value) for tag, key, value in attributes if key.rpartition("}")[2] in ("src", "href", "srcset")}

    assert [name for name in wanted if page.all(name)] == []
    assert {tag for tag, value in addresses if not value.startswith("#")} <= {"a"}
    known = r"#|https://(github\.com|pytorch\.org|pytorch\.apachecn\.org)/"
    assert all(re.match(known, value) for _, value in addresses)
    assert not re.search(r"@import|url\((?!#)", page.text)


def test_only_script_is_allowed_by_content_security_policy(page: Any) -> None:
    (script,) = page.all("script")
    (policy,) = [each.get("content") for each in page.all("meta") if each.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()

    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'unsafe" not in policy
    assert [key for each in page.root.iter() for key in each.keys() if key.startswith("on")] == []  # noqa: SIM118


def test_ids_are_unique_and_references_resolve(page: Any) -> None:
    ids = [each.get("id") for each in page.root.iter() if each.get("id")]
    inside = [each.get("href")[1:] for each in page.root.iter() if (each.get("href") or "").startswith("#")]
    labels = [name for each in page.root.iter() for name in (each.get("aria-labelledby") or "").split()]

    assert len(ids) == len(set(ids))
    assert set(inside) | set(labels) | set(re.findall(r"url\(#([^)]*)\)", page.text)) <= set(ids)


def test_each_plot_has_a_name_a_description_and_its_numbers(page: Any) -> None:
    plots = [each for each in page.all("svg")]

    assert plots
    for plot, figure in zip(plots, page.all("figure"), strict=True):
        assert plot.get("role") == "img"
        title, description = (page.named(name) for name in plot.get("aria-labelledby").split())
        assert page.words(title)
        assert page.words(description)
        assert figure.find("details/div/table/tbody/tr") is not None


def test_plots_have_the_colours_of_the_page_and_no_font_of_their_own(page: Any) -> None:
    plots = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)

    assert all("var(--" in plot for plot in plots)
    assert re.findall(r"#[0-9a-f]{6}\b|DejaVu|font-family|http", "".join(plots)) == [] or HOSTILE[:8] in page.words()


def test_page_is_reproducible() -> None:
    record = red()

    assert html.render([record]) == html.render([record])


def test_scrollable_regions_are_focusable(page: Any) -> None:
    boxes = [each for each in page.all("div") if each.get("class") == "scroll"]
    tables = page.all("table")

    assert len(boxes) == len(tables)
    assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in boxes)


# ---- what a real run says


def test_answer_is_at_the_top(newest: Page) -> None:
    (title,) = newest.all("h1")

    assert newest.words(title) == "PyTorch 2.15.0: The pipeline does not work as a whole"
    text = newest.words()
    assert "PyTorch 2.15.0+cu132 cannot carry the whole pipeline" in text
    count = Counter(row.status for row in release("2.15.0").claims)
    assert f"{count['passed']} passed {count['declared']} declared 0 failed 0 unsupported 0 environment error" in text
    assert "deit_base (stand-in weights), digits (trained weights)" in text
    assert f"{release('2.15.0').environment.cpu}, 2 cores, AVX" in text


@pytest.mark.parametrize(
    ("version", "words"), [("2.12.1", "The pipeline works"), ("2.15.0", "The pipeline does not work as a whole")]
)
def test_the_headline_follows_the_answer(version: str, words: str) -> None:
    assert View(release(version)).headline == words


def test_empty_record_gives_no_answer(record: Callable[..., Record]) -> None:
    page = Page(html.render([record(claims=(), complete=False)]))

    assert page.words(page.all("h1")[0]) == "PyTorch 2.13.0: No answer"


def test_the_variants_stand_in_a_table_with_their_numbers(newest: Page) -> None:
    lines = {(line[0], line[1]): line[2:] for line in newest.rows("Variants of deit_base")}

    assert len(lines) == 24
    cell = cell_of("deit_base", "fbgemm", "scripted_quantized")
    interval = f"{cell.latency_ratio_low:.3f} to {cell.latency_ratio_high:.3f}"
    latency = [f"{cell.latency_ms:.2f} ms", f"{cell.latency_ratio:.3f}", interval]
    error = f"{cell.sqnr_db:.1f} of {cell.expected_sqnr_db:.1f} dB"
    assert lines["scripted_quantized", "fbgemm"] == ["89.24 MB", "74%", *latency, error, "269", "passed"]
    assert lines["original", "x86"][5:7] == ["exact", "269"]
    assert lines["optimized", "qnnpack"][:7] == ["–"] * 7
    assert lines["optimized", "qnnpack"][7].startswith("failed at optimize_for_mobile (xnnpack-gone)")


def test_sizes_sort_numerically_and_missing_ones_have_no_key(newest: Page) -> None:
    keys = [row.findall("td")[1].get("data-key") for row in newest.table("Variants of digits").find("tbody")]

    assert {key == "" for key in keys} == {True, False}
    assert all(float(key) < 1 for key in keys if key)


def test_versions_are_shown_side_by_side(newest: Page) -> None:
    sqnr = newest.named("case-1-sweep-sqnr-title")
    table = next(each for each in newest.all("figure") if sqnr in list(each.iter())).find("details/div/table")
    lines = [[newest.words(cell) for cell in row] for row in table.find("tbody")]

    assert [line[0] for line in lines] == list(RELEASES)
    cells = [cell_of("deit_base", engine, "scripted_quantized") for engine in ("fbgemm", "x86", "onednn", "qnnpack")]
    assert [float(text) for text in lines[-1][1:]] == [pytest.approx(cell.sqnr_db, abs=0.006) for cell in cells]


def numbers_of(page: Any, name: str) -> Any:
    """Return the table of a plot's numbers: its headings, and its lines by their first place."""
    title = page.named(f"{name}-title")
    table = next(each for each in page.all("figure") if title in list(each.iter())).find("details/div/table")
    lines = [[page.words(cell) for cell in row] for row in table.find("tbody")]
    return [page.words(cell) for cell in table.find("thead/tr")], {line[0]: line[1:] for line in lines}


def test_the_matrix_counts_the_files_of_each_maker_on_each_runner(newest: Page) -> None:
    headings, lines = numbers_of(newest, "files-makers")

    assert headings == ["Made by", *RELEASES]
    assert list(lines) == list(RELEASES[:-1])
    assert lines["2.2.2"] == ["0 of 17", "17 of 17", "17 of 17", "17 of 17", "17 of 17", "9 of 17"]
    headings, lines = numbers_of(newest, "files-variants")
    assert dict(zip(headings[1:], lines["2.12.1"], strict=True))["optimized"] == "0 of 4"


def test_a_single_record_has_a_matrix_of_one_column_and_no_sweep(failing: Page) -> None:
    headings, _ = numbers_of(failing, "files-makers")

    assert headings == ["Made by", "2.12.1"]
    assert "from version to version" not in failing.words()


def test_outcomes_by_version_distinguish_stopped_and_failed() -> None:
    older, newer = release("2.12.1"), release("2.15.0")
    broken = changed(newer, "label[digits-x86-scripted]", status="failed", outcome="failed", message="lost")

    _, lines = numbers_of(Page(html.render([older, broken])), "case-2-sweep-outcomes")

    assert lines["original"] == ["works", "works"]
    assert lines["scripted"] == ["works", "1 fail"]
    assert lines["optimized"] == ["works", "stops"]
    assert lines["lite_frozen"] == ["2 differ", "2 differ"]


def test_published_results_are_shown_beside_run(newest: Page) -> None:
    _, lines = numbers_of(newest, "case-1-published")

    assert lines["Google Colab, as three editions quote it"] == [
        *("1236.69 (1.00)", "1226.72 (0.99)", "593.19 (0.48)", "598.01 (0.48)", "600.72 (0.49)")
    ]
    own = [cell_of("deit_base", "qnnpack", variant) for variant in ("original", "scripted", "scripted_quantized")]
    shown = [f"{cell.latency_ms:.2f} ({cell.latency_ratio:.2f})" for cell in own]
    assert lines["this run on qnnpack, CPU time, judged"] == [*shown, "–", "–"]
    assert "346 MB" in newest.rows("What the editions print")[0]


def test_case_outside_tutorial_has_no_published_results(newest: Page) -> None:
    assert [each for each in newest.root.iter() if (each.get("id") or "").startswith("case-2-published")] == []


def test_a_declared_deviation_opens_to_reason_advice_link_and_rows(newest: Page) -> None:
    said = newest.entry("xnnpack-gone 228 rows")

    assert "The wheels have been built without XNNPACK since 2.13" in said
    assert "Instead: Stay on 2.12.1" in said
    assert "https://github.com/pytorch/pytorch/pull/185297" in said
    assert "passed on 1.13.1, 2.2.2, 2.6.0, 2.9.1, 2.12.1; failed at optimize_for_mobile on 2.15.0" in said
    assert "copies 2, expected [1, 1], would need upper = 2" in newest.entry("lite-stored-twice 4")


def test_each_claim_opens_to_all_its_rows(newest: Page) -> None:
    said = newest.entry("logits_original 40 rows")
    cell = cell_of("deit_base", "fbgemm", "scripted_quantized")

    error = f"{cell.sqnr_db:.1f} of {cell.expected_sqnr_db:.1f} dB expected"
    assert f"expected [-1.5, 1.5] ({error}) expected_sqnr against original: {cell.expected_sqnr_db:.6g} dB" in said


# ---- what fails


def test_failed_claim_shows_sentence_numbers_bound_reason_and_history(failing: Page) -> None:
    said = failing.entry("logits_original[deit_base-fbgemm-scripted_quantized]")

    assert failing.words(failing.all("h1")[0]) == "PyTorch 2.12.1: Claims failed"
    assert "by no more, and no less, than the variant's arithmetic explains" in said
    assert "The tutorial, “Quantizing DeiT”: Quantization reduces the size" in said
    assert "sqnr against original 12.5 dB [25.5, 31] lower = 12.5 shared.int8" in said
    assert "The error is the one that int8's arithmetic makes" in said
    assert "cosine against original not a number [25.5, 31] a finite number gone" in said
    assert "On recorded releases: passed on 1.13.1, 2.2.2" in said
    assert "Not judged: sqnr at patch_embed 45 dB, sqnr at blocks.0 44 dB" in said


def test_failed_cell_links_to_its_claim(failing: Page) -> None:
    lines = failing.table("Variants of deit_base").find("tbody")
    (cell,) = [row[-1] for row in lines if "FAILED" in failing.words(row)]
    (link,) = cell.iter("a")

    assert failing.words(cell) == "FAILED: logits_original logits_original : failed"
    assert "12.5 dB" in failing.words(failing.named(link.get("href")[1:]))


def test_environment_errors_and_unchecked_claims_are_separate(failing: Page) -> None:
    assert "no space left on device" in failing.entry("preprocessing[test_preprocessing] environment error")
    after = failing.words().partition("Not checked")[2]
    assert "build[digits-qnnpack-lite_frozen]" in after


def test_failed_deviation_is_shown_with_link_and_advice() -> None:
    name = "build[digits-x86-optimized]"
    message = "deviation xnnpack-gone (deviations.toml:5): it expects another failure"
    fields = {"status": "failed", "outcome": "failed at", "at": "script", "error": "RuntimeError", "message": message}
    page = Page(html.render([changed(release("2.15.0"), name, **fields)]))

    said = page.entry(f"{name} failed at script with RuntimeError")

    assert "deviations.toml:5" in said
    assert "Instead: Stay on 2.12.1" in said
    assert "pull/185297" in said


def test_block_sqnr_is_shown_if_recorded(newest: Page, older: Page) -> None:
    headings, lines = numbers_of(newest, "case-1-blocks")
    name = "logits_original[deit_base-qnnpack-scripted_quantized]"
    (row,) = [row for row in release("2.15.0").claims if row.name == name]
    (last,) = [finding.value for finding in row.findings if finding.statistic == "sqnr at head"]

    assert headings == ["After", "fbgemm", "x86", "onednn", "qnnpack"]
    assert list(lines) == ["in", *(str(number) for number in range(12)), "out"]
    assert lines["out"][-1] == f"{last:.4g}"
    assert "SQNR per block" not in older.words()


def test_latency_spread_is_shown_if_recorded(newest: Page, older: Page) -> None:
    spread = cell_of("deit_base", "qnnpack", "original").latency_spread_ms  # a later line of a variant hides an earlier
    lines, before = (numbers_of(each, "case-1-latency")[1]["original"] for each in (newest, older))

    assert len(spread) == 5
    assert lines[2:] == [f"{number:.2f}" for number in spread]
    assert before[2:] == ["–"] * 5
    assert "whiskers" in newest.words()
    assert "whiskers" not in older.words()


# ---- records that are anybody's


def test_hostile_text_is_escaped(strange: Page) -> None:
    (script,) = strange.all("script")

    assert script.text.startswith('"use strict"')
    assert strange.all("img") == []
    assert "<script>alert(1)</script>" in strange.words()
    assert "{{ 7 * 7 }}" in strange.words()
    assert "$x^2$" in strange.words()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", strange.text)


def test_hostile_links_are_not_rendered(strange: Page) -> None:
    assert not any((each.get("href") or "").lower().startswith("javascript") for each in strange.root.iter())


def test_html5lib_sees_same_tags(strange: Page) -> None:
    tags: list[str] = []
    parser: Any = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed(strange.text)

    assert tags.count("script") == 1
    assert "img" not in tags


# ---- which records


def test_newest_record_is_reported_in_any_order(newest: Page) -> None:
    shuffled = html.render([release(version) for version in (RELEASES[-1], *RELEASES[:-1])])

    assert shuffled == newest.text


def test_two_records_of_one_version_are_refused(refuses: Refuses) -> None:
    record = release("2.15.0")

    refuses(lambda: html.render([record, record]), "two records of PyTorch 2.15.0", "RECORD")


def test_records_without_a_common_case_are_refused(
    refuses: Refuses, record: Callable[..., Record], environment: Environment
) -> None:
    other = record(cases=("deit_base",), environment=environment.model_copy(update={"torch": "2.14.0"}))

    refuses(lambda: html.render([record(), other]), "no case in common", "RECORD")


def test_empty_list_of_records_is_refused(refuses: Refuses) -> None:
    refuses(lambda: html.render([]), "no record", "RECORD")
