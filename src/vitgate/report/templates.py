"""How HTML pages are made from templates: everything that a record says is cleaned, then escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from vitgate.files.text import link, printable


@cache
def template(path: Path) -> Template:
    """Compile a template, once in a process; others of its folder can be included. `link` is there in each."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"link": link}
    return environment.get_template(path.name)


def _shown(value: object) -> object:
    """Clean what an expression gives before it is escaped; what is safe HTML already is not text."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
