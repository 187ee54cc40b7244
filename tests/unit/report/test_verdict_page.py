"""The page of a verdict: complete without a network, and whatever a record says stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from vitgate.compare.verdict import Verdict
from vitgate.files.text import clean, link, markdown_link
from vitgate.report.verdict import html, views

from .hostile_text import CONTROL


class Page(HTMLParser):
    """Collects what a page holds: tags in order, attributes, texts by tag."""

    VOID = ("meta", "br", "link", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[Any] = []
        self.open: list[str] = []
        self.texts: list[Any] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: Any) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))


def test_page_starts_with_answer_and_is_complete(real: Verdict) -> None:
    text = html.render(real)

    page = Page(text)
    assert page.open == []
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.tags.count("title") == 1 + page.tags.count("svg")
    texts = [data.strip() for _, data in page.texts if data.strip()]
    assert texts.index(real.answer) < texts.index("Causes") < texts.index("All claims")
    assert page.tags.count("table") == page.tags.count("caption") > 4
    headings = sum(tag == "th" for tag in page.tags)
    assert headings == sum(attribute[:2] == ("th", "scope") for attribute in page.attributes)
    assert ("html", "lang", "en") in page.attributes
    assert "prefers-color-scheme: dark" in text
    assert ("meta", "name", "viewport") in page.attributes
    for row in real.rows:
        assert row.name in texts
    red = [cause for cause in real.causes if cause.red]
    assert page.attributes.count(("section", "class", "cause red")) == len(red) < len(real.causes)
    words = [f"{count} {word}" for word, count in views.counts(real).items()]
    assert f"{', '.join(words)}." in texts


def test_page_loads_nothing_external(real: Verdict) -> None:
    page = Page(html.render(real))

    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert {name for tag, name, _ in page.attributes if tag != "a"}.isdisjoint({"src", "srcset"})
    inside = [value for tag, name, value in page.attributes if name == "href" and tag != "a"]
    assert all(value.startswith("#matrix-") for value in inside)
    targets = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert sorted(targets) == sorted(cause.link for cause in real.causes if cause.link)
    assert not re.search(r"url\((?!#matrix-)|@import", html.render(real))


def test_the_page_shows_the_matrix_as_a_heat_map(real: Verdict) -> None:
    page = Page(html.render(real))

    assert page.tags.count("svg") == 1
    drawn = [data for tag, data in page.texts if tag == "text"]
    assert drawn == ["2.12.1", "2.15.0"] * 2 + ["1 of 1", "0 of 1", "–", "1 of 1"]


def test_a_page_without_a_matrix_has_no_heat_map(real: Verdict) -> None:
    page = Page(html.render(real.model_copy(update={"matrix": ()})))

    assert "svg" not in page.tags


def test_hostile_text_is_escaped_in_page(hostile: Verdict) -> None:
    text = html.render(hostile)

    page = Page(text)
    assert page.open == []
    assert not {"script", "img", "a"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "&lt;script&gt;" in text
    assert not CONTROL.search(text.replace("\n", ""))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil",
        "http://",
        'https://a/"onclick="x',
        "https://a/\n",
        "http://[",
        "",
    ],
)
def test_only_plain_http_addresses_are_links(url: str) -> None:
    assert link(url) == ""
    assert "](" not in markdown_link("t", url)


def test_a_plain_address_is_a_link() -> None:
    url = "https://github.com/pytorch/pytorch/issues/1?a=b&c=(d)#e"

    assert link(url) == url
    assert markdown_link("t", url).startswith("[t](<https://github.com/")


@pytest.mark.parametrize("text", ["plain", "2.12.1 → 2.15.0", "é × 中"])
def test_clean_leaves_plain_text_unchanged(text: str) -> None:
    assert clean(text) == text
