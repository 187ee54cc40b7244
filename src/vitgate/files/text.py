"""Text that came from a record is anybody's: what makes it harmless in a terminal, in XML and in Markdown.

HTML needs nothing of its own here: its template escapes everything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlsplit

_LONGEST = 300
_INTERPRETER = "The following operation failed in the TorchScript interpreter"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#|~])")
_NO_TEXT = ("Cc", "Cf", "Cs", "Co", "Cn")  # control, format (such as bidirectional overrides), surrogate, unassigned


def printable(text: str) -> str:
    """Return the text without any character that a terminal, or XML, would take for something else than text."""
    if text.isascii() and text.isprintable():
        return text
    kept = (" " if char.isspace() else char for char in text)
    return "".join(char for char in kept if unicodedata.category(char) not in _NO_TEXT)


def clean(text: object) -> str:
    """Return the printable text in one line, without needless space."""
    return " ".join(printable(str(text)).split())


def short(text: object, longest: int = _LONGEST) -> str:
    """Return the text in one clean line of bounded length."""
    line = clean(text)
    return line if len(line) <= longest else f"{line[:longest]}…"


def reason(error: BaseException) -> str:
    """Return the telling line of an exception's message: TorchScript's interpreter puts it last, others first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if lines[0].startswith(_INTERPRETER) else lines[0]


def bare_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a requirements file, joined after a backslash and without its comment."""
    for number, line in enumerate(re.sub(r"\\\r?\n", " ", text).splitlines(), 1):
        if bare := re.sub(r"(^|\s)#.*", "", line).strip():
            yield number, bare


def some(names: Iterable[str], room: int) -> str:
    """Return the different names in about `room` characters; those for which there is no room are counted."""
    left = list(dict.fromkeys(names))
    text = left.pop(0) if left else ""
    text = text if len(text) <= room else f"{text[:room]}…"
    while left and len(text) + len(left[0]) + 2 <= room:
        text = f"{text}, {left.pop(0)}"
    return f"{text} and {len(left)} more" if left else text


def link(url: str) -> str:
    """Return the address if it is a plain http or https one, otherwise nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    harmless = (
        parts.scheme in ("http", "https") and parts.netloc and clean(url) == url and not set(url) & set("\"'<>` \\")
    )
    return url if harmless else ""


def markdown(text: object) -> str:
    """Escape the text for Markdown, also within a table: no markup, no HTML, nobody mentioned, no issue referred to."""
    line = _MARKDOWN.sub(r"\\\1", clean(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(\\#|@)(?=\w)", r"\1&#8203;", line).replace("://", "&#58;//")


def code(text: object) -> str:
    """Show the text as code in Markdown, escaped; unlike backticks, this cannot be closed from within."""
    return f"<code>{markdown(text)}</code>"


def markdown_link(title: str, url: str) -> str:
    """Return a Markdown link, or the title alone where the address is not a plain one."""
    target = link(url)
    return f"[{markdown(title)}](<{quote(target, safe=':/?#&=%@+,;~!$*-._')}>)" if target else markdown(title)
