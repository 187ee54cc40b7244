"""Write the pages of `docs/reference/`, from the code and the data files that they describe.

    python scripts/reference.py

A unit test holds the pages against the code, so that no option, claim, bound or deviation is documented otherwise than
it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from vitgate.cli import cli
from vitgate.judge.deviations import Deviation, read_deviations
from vitgate.judge.tolerances import read_tolerances, SHARED, Tolerance
from vitgate.plugin.options import PYTEST_HELP
from vitgate.records.record import json_schema
from vitgate.spec.claims import Claim, read_claims, read_sentences, Sentence
from vitgate.spec.options import RUN_OPTIONS, RunOption

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_MADE = "*Made by `python scripts/reference.py` from {source}.*"
_SUBJECTS = {
    "engine": "each case under each engine",
    "case": "each case",
    "call": "each of the tutorial's calls",
    "file": "each file",
    "session": "the run as a whole",
}


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    makers: dict[str, Callable[[], Iterable[str]]] = {
        "pytest.md": pytest_page,
        "vitgate.md": vitgate_page,
        "exit-status.md": exit_page,
        "record.md": record_page,
        "claims.md": claims_page,
        "tolerances.md": tolerances_page,
        "deviations.md": deviations_page,
    }
    return {name: "\n\n".join(part.strip("\n") for part in maker()) + "\n" for name, maker in makers.items()}


# ---- Markdown


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _block(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _head(title: str, source: str, *text: str) -> Iterator[str]:
    yield f"# {title}"
    yield from text
    yield _MADE.format(source=source)


# ---- options


def pytest_page() -> Iterator[str]:
    """Yield the page of pytest's options, those that vitgate adds."""
    text = "Options of `pytest tests/conformance`, beside pytest's own. `pytest --help` prints the same."
    yield from _head("Options of pytest", "`src/vitgate/spec/run_config.py`", text)
    rows = [(_flags([option.flag], option.metavar), _meaning(option)) for option in RUN_OPTIONS]
    yield _table(["option", "meaning"], rows)
    variables = "`VITGATE_ASSETS` stands for `--assets`, `VITGATE_CASES` for `--case-file`; `VITGATE_FIXTURES` names a"
    yield f"{variables} folder to take in the place of `fixtures/`, to try other bounds or deviations."


def _meaning(option: RunOption) -> str:
    return option.help + (f" (default: {option.default_words})" if option.default_words else "")


def _flags(names: Iterable[str], metavar: str) -> str:
    return _code(", ".join(names) + (f" {metavar}" if metavar else ""))


# ---- commands


def vitgate_page() -> Iterator[str]:
    """Yield the page of the command line."""
    text = "Each command says the same with `--help`. Exit statuses: [exit-status.md](exit-status.md)."
    yield from _head("Commands of vitgate", "`src/vitgate/cli/`", text)
    for path, command in commands(cli, ("vitgate",)):
        yield from _command(path, command)


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command that does something, with the words by which it is called."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from commands(found, (*path, name))


def _command(path: tuple[str, ...], command: click.Command) -> Iterator[str]:
    words = " ".join(path)
    arguments = [_argument(each) for each in command.params if isinstance(each, click.Argument)]
    yield f"## {words}"
    yield _block(" ".join([words, "[OPTIONS]", *arguments]))
    yield from _paragraphs(command.help or "")
    rows = [_option(each) for each in command.params if isinstance(each, click.Option)]
    if rows:
        yield _table(["option", "meaning"], rows)


def _argument(argument: click.Argument) -> str:
    return argument.metavar or str(argument.name).upper() + ("..." if argument.nargs == -1 else "")


def _paragraphs(text: str) -> Iterator[str]:
    r"""Yield a help text's paragraphs as Markdown; what click is told to leave as it is (\b) is set as code."""
    for part in text.strip().split("\n\n"):
        if not part.startswith("\b"):
            yield " ".join(part.split())
            continue
        lines = part.splitlines()[1:]
        if lines[0].startswith("Exit status"):
            continue  # on a page of its own
        if not lines[0].startswith(" "):
            yield lines.pop(0)
        yield _block("\n".join(line[2:] for line in lines))


def _option(option: click.Option) -> tuple[str, str]:
    flags = [*option.opts, *option.secondary_opts]
    if isinstance(option.type, click.Choice):
        metavar = "|".join(map(str, option.type.choices))
    else:
        metavar = "" if option.is_flag else (option.metavar or option.type.name.upper())
    default = f" Default: `{option.default}`." if option.show_default and option.default is not None else ""
    return _flags(flags, metavar), _sentence(option.help or "") + default


def _sentence(text: str) -> str:
    return text + ("" if not text or text.endswith((".", "]", ")")) else ".")


# ---- exit statuses


def exit_page() -> Iterator[str]:
    """Yield the page of exit statuses."""
    yield from _head("Exit statuses", "the help texts of `src/vitgate/`")
    yield "## pytest"
    yield " ".join(PYTEST_HELP.partition("Exit status: ")[2].split())
    for path, command in commands(cli, ("vitgate",)):
        rows = _statuses(command)
        if rows:
            yield f"## {' '.join(path)}"
            yield _table(["status", "meaning"], rows)


def _statuses(command: click.Command) -> list[tuple[str, str]]:
    """Return a command's exit statuses with their meanings, from its help or its epilog."""
    text = f"{command.help or ''}\n{command.epilog or ''}".partition("Exit status:\n")[2].split("\n\n")[0]
    rows: list[tuple[str, str]] = []
    for line in filter(str.strip, text.splitlines()):
        status, _, meaning = line.strip().partition("  ")
        rows.append((status, meaning.strip()))
    return rows


# ---- the record


def record_page() -> Iterator[str]:
    """Yield the page of the record's fields."""
    schema = json_schema()
    text = "A record is the JSON file that a run writes (`--record FILE`). The schema is [record.schema.json]"
    yield from _head("The record", "`src/vitgate/records/record.py`", f"{text}(../record.schema.json).")
    yield from _model("Record", schema)
    for name, model in schema["$defs"].items():
        yield from _model(name, model)


def _model(name: str, model: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield str(model.get("description", ""))
    required = model.get("required", ())
    rows = [(_code(field), _type(row), _default(field in required, row)) for field, row in model["properties"].items()]
    yield _table(["field", "type", "where it is left out"], rows)


def _default(required: bool, row: Mapping[str, Any]) -> str:
    return "required" if required else _code(repr(row.get("default")).replace("None", "null"))


def _type(row: Mapping[str, Any]) -> str:
    if "anyOf" in row:
        return " or ".join(_type(each) for each in row["anyOf"])
    if "$ref" in row:
        name = row["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in row:
        return "one of " + ", ".join(f'`"{value}"`' for value in row["enum"])
    if "prefixItems" in row:
        return f"[{', '.join(map(_type, row['prefixItems']))}]"
    if row["type"] == "array":
        return f"list of {_type(row['items'])}"
    if isinstance(row.get("additionalProperties"), Mapping):
        return f"object of {_type(row['additionalProperties'])}"
    return str(row["type"]) + (f", such as `{row['pattern']}` allows" if "pattern" in row else "")


# ---- claims


def claims_page() -> Iterator[str]:
    """Yield the page of claims, and of the tutorial's sentences behind them."""
    text = (
        "What the suite claims, and the sentence of the tutorial (in our words) or the problem of its users behind it."
    )
    yield from _head("Claims", "`fixtures/claims.toml`", text)
    sentences = read_sentences()
    for claim in read_claims().values():
        yield from _claim(claim, sentences)
    yield "## The tutorial's sentences"
    claims = {
        each.id: [claim.id for claim in read_claims().values() if each.id in claim.sentences]
        for each in sentences.values()
    }
    rows = [
        (each.section, each.says, ", ".join(_to_claim(name) for name in claims[each.id])) for each in sentences.values()
    ]
    yield _table(["section", "it says", "claims"], rows)


def _to_claim(name: str) -> str:
    return f"[{name}](#{name})"


def _claim(claim: Claim, sentences: Mapping[str, Sentence]) -> Iterator[str]:
    yield f"## {claim.id}"
    yield claim.says
    yield f"About {_about(claim)}."
    if claim.sentences:
        said = (f"- {sentences[name].section}: {sentences[name].says}" for name in claim.sentences)
        yield "The tutorial:"
        yield "\n".join(said)
    if claim.link:
        yield f"Why: <{claim.link}>"
    if claim.tools:
        yield f"Checking it takes {claim.tools}; without, its rows are `unsupported`."
    if any(claim.id in row.claim for row in read_tolerances().rows()):
        yield f"Its bounds: [tolerances.md](tolerances.md#{claim.id})."


def _about(claim: Claim) -> str:
    if claim.per != "cell":
        return _SUBJECTS[claim.per]
    parts = [f"{_list(names)} alone" for names in (claim.cases, claim.engines, claim.variants) if names]
    parts += [f"cases that have `{claim.needs}`"] if claim.needs else []
    parts += ["successors of TorchScript too"] if claim.successors else []
    return "each cell (case, engine and variant)" + (f": {'; '.join(parts)}" if parts else "")


# ---- tolerances


def tolerances_page() -> Iterator[str]:
    """Yield the page of bounds, by claim and statistic."""
    text = 'No bound without a reason. Where nothing stands under "for", the row holds for all cells and all weights.'
    yield from _head("Tolerances", "`fixtures/tolerances/`", text)
    rows = read_tolerances().rows()
    shared = [row for row in rows if len(row.claim) > 1]
    yield f"## {SHARED}"
    yield "Bounds that several claims share, for one reason."
    yield from _by_statistic(shared)
    for name, claim in read_claims().items():
        own = [row for row in rows if row.claim == (name,)]
        others = [row.id for row in shared if name in row.claim]
        if own or others:
            yield f"## {name}"
            yield claim.says
        if others:
            yield f"Shared with other claims: {_list(others)} [above](#{SHARED})."
        yield from _by_statistic(own)


def _by_statistic(rows: Sequence[Tolerance]) -> Iterator[str]:
    for title, group in groupby(sorted(rows, key=_statistic), key=_statistic):
        yield f"### {title}"
        yield _bounds(list(group))


def _statistic(row: Tolerance) -> str:
    bases = [row.against] if isinstance(row.against, str) else [f"{it} ({claim})" for claim, it in row.against.items()]
    against = f" against {', '.join(bases)}" if any(bases) else ""
    return f"{', '.join(row.statistic)}{against}" + (f", in {row.unit}" if row.unit != "1" else "")


def _bounds(rows: list[Tolerance]) -> str:
    """Return the rows as a table and, below it, each reason once with the bounds that it is given for."""
    cells = [(_code(_short(row)), _place(row), _bound(row.lower), _bound(row.upper)) for row in rows]
    lines = [_table(["bound", "for", "at least", "at most"], cells), ""]
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        reasons.setdefault((row.reason, row.measured), []).append(_short(row))
    for (reason, measured), names in reasons.items():
        which = f"{_list(names)}: " if len(reasons) > 1 else ""
        how = "" if measured.startswith("not measured") else "Measured: "
        lines.append(f"- {which}{_words(reason)} *{how}{_words(measured)}*")
    return "\n".join(lines)


def _short(row: Tolerance) -> str:
    """Return its name without the claim that it stands under."""
    return row.id if len(row.claim) > 1 else row.id.removeprefix(f"{row.claim[0]}.")


def _place(row: Tolerance) -> str:
    claims = f"claims: {_list(row.claim)}" if len(row.claim) > 1 else ""
    return "; ".join(filter(None, [claims, _selected(row)]))


def _words(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _selected(row: Tolerance | Deviation) -> str:
    names = ("subjects", "cases", "engines", "variants", "weights", "machines")
    parts = [f"{name}: {_list(values)}" for name in names if (values := getattr(row, name, None))]
    return "; ".join(parts)


# ---- deviations


def deviations_page() -> Iterator[str]:
    """Yield the page of declared deviations."""
    text = "What is known to differ, as strict expected failures: any other outcome is red, so is an old review date."
    accept = "`vitgate upgrade --accept ID` accepts one where an upgrade brings it: [how to](../accept.md)."
    yield from _head("Declared deviations", "`fixtures/deviations.toml`", f"{text} {accept}")
    for row in read_deviations().rows:
        yield from _deviation(row)


def _deviation(row: Deviation) -> Iterator[str]:
    yield f"## {row.id}"
    yield row.reason
    facts = {
        "Claims": ", ".join(f"[{name}](claims.md#{name})" for name in row.claims),
        "Where": _selected(row) or "everywhere",
        "PyTorch": _code(str(row.torch)),
        "Files made by": _code(str(row.makers)) if row.makers else "",
        "Expected outcome": _words(row.expected()),
        "Instead": _words(row.advice),
        "Upstream": f"<{row.link}>",
        "Review": row.review.isoformat(),
    }
    yield "\n".join(f"- **{name}**: {text}" for name, text in facts.items() if text)


def main() -> None:
    """Write the pages, and remove what is none of them any more."""
    FOLDER.mkdir(exist_ok=True)
    found = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
