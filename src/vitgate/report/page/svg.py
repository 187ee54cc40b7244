"""A matplotlib figure as SVG that stands inside a page: the page's colours, the page's font, a title and a description.

matplotlib draws in colours of its own making, one for each of the page's; afterwards they are replaced by the names of
CSS variables, so that a plot follows the reader's choice of light or dark without being drawn twice.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import escape, Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitgate.files.text import clean

WIDTH = 4.75  # inches: as wide as a phone, on which the letters keep the size that they are given here
_LETTERS = 10.0  # points
_NAMES = (
    *("text", "dim", "line", "page", "panel", "accent"),
    *("fill-good", "fill-some", "fill-none", "fill-bad", "fill-absent"),
    *("fbgemm", "x86", "onednn", "qnnpack", "none", "other"),
)
_SENTINELS = {name: f"#0101{number:02x}" for number, name in enumerate(_NAMES, 1)}
_MARKERS = {"fbgemm": "o", "x86": "s", "onednn": "D", "qnnpack": "^", "none": "v", "other": "X"}
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _SENTINELS["line"],
    "axes.labelcolor": _SENTINELS["dim"],
    "axes.labelsize": _LETTERS,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": _LETTERS,
    "grid.color": _SENTINELS["line"],
    "grid.linewidth": 0.6,
    "legend.fontsize": _LETTERS,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "svg.fonttype": "none",  # text stays text, to be read aloud and found
    "svg.hashsalt": "vitgate",  # the same bytes each time
    "text.color": _SENTINELS["text"],
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": _SENTINELS["line"],
    "xtick.labelcolor": _SENTINELS["dim"],
    "xtick.labelsize": _LETTERS,
    "ytick.color": _SENTINELS["line"],
    "ytick.labelcolor": _SENTINELS["text"],
    "ytick.labelsize": _LETTERS,
}
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@dataclass(frozen=True)
class About:
    """What a plot is called: `name` begins the ids within its SVG, `says` describes it to who cannot see it."""

    name: str
    title: str
    says: str


def colour(name: str) -> str:
    """Return the colour to draw with that becomes the page's variable of this name; an unknown engine's is `other`."""
    return _SENTINELS.get(name, _SENTINELS["other"])


def marker(engine: str) -> str:
    """Return the shape that stands for an engine: colour alone tells not everybody."""
    return _MARKERS.get(engine, _MARKERS["other"])


@contextmanager
def drawing(height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure of that height in inches with one pair of axes, drawn in the page's style while the block lasts."""
    settings: Any = {**matplotlib.rcParamsDefault, "backend": "svg", **_STYLE}  # whatever the reader's own are
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


def inline(figure: Figure, about: About) -> Markup:
    """Return the figure as an `svg` element whose ids begin with the name, so that two can stand in one page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=_NOTHING)
    text = _between(file.getvalue())
    for pattern, by in _replacements(about.name):
        text = re.sub(pattern, by, text)
    title, says = f"{about.name}-title", f"{about.name}-desc"
    head = f'<title id="{title}">{_text(about.title)}</title><desc id="{says}">{_text(about.says)}</desc>'
    size = " ".join(f"{number:g}" for number in (0, 0, *(72 * figure.get_size_inches())))
    labelled = f'role="img" aria-labelledby="{title} {says}"'
    # Nothing but what matplotlib wrote, which escapes the texts that it is given.
    return Markup(f'<svg class="plot" viewBox="{size}" {labelled}>{head}{text}</svg>')  # noqa: S704


def _between(svg: str) -> str:
    """Return what is inside the root element, without the rules for all elements that matplotlib puts first."""
    inner = svg[svg.index(">", svg.index("<svg ")) + 1 : svg.rindex("</svg>")]
    return re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", inner, count=1, flags=re.DOTALL)


def _replacements(name: str) -> Iterator[tuple[str, Any]]:
    """Yield what is replaced within the tags that matplotlib writes; the texts between them cannot look like these."""
    yield r'(<[^>]*?\sid=")', rf"\1{name}-"
    yield r'xlink:href="#', f'href="#{name}-'
    yield r"url\(#", f"url(#{name}-"
    yield r"#0101([0-9a-f]{2})\b", lambda found: f"var(--{_NAMES[int(found[1], 16) - 1]})"
    yield r"font-family: '[^\"]*?sans-serif;?|(font: [^';\"]*)'[^\"]*?sans-serif", lambda found: _font(found[1])
    yield r"(\d\.\d\d)\d+", r"\1"
    yield r"\s*\n\s*", "\n"


def _font(short: str | None) -> str:
    """Return size and weight of a font that matplotlib writes in short, without the family."""
    words = (short or "").removeprefix("font:").split()
    sizes = [f"font-size: {word}" for word in words if word.endswith("px")]
    return "; ".join([*sizes, *(f"font-weight: {word}" for word in words if word in ("bold", "700"))])


def _text(text: str) -> str:
    return str(escape(clean(text)))
