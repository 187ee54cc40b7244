"""MkDocs hooks: fail the build if a page would load anything from another machine.

A warning ends `mkdocs build --strict`. The reader's own clicks are links, which may lead anywhere.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_LOG = logging.getLogger("mkdocs.hooks.vitgate")
_LOADED = re.compile(r"""<(?:script|img|iframe|link|source)\b[^>]*\b(?:src|href|srcset)=["']?(?:https?:)?//[^"'> ]+""")


def on_post_page(output: str, *, page: Any, **_: object) -> str:
    """Warn of whatever the built page loads from elsewhere."""
    for found in _LOADED.findall(output):
        _LOG.warning("%s loads something from another machine: %s", page.file.src_path, found)
    return output
