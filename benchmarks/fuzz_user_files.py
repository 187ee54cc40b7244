"""What a user writes: acceptances, cases, requirements and the text in the place of a version."""

from __future__ import annotations

from pathlib import Path
from random import Random

import fuzz_mutations as spoil
from fuzz_form import Reader, tree_of, tree_reader

from vitgate.compare.acceptance import read_acceptances
from vitgate.judge import tolerances
from vitgate.judge.tolerances import Tolerances
from vitgate.spec import cases
from vitgate.upgrade.requirements import is_pinned, Needs, parse_side, whole_set


def accept(folder: Path) -> Reader:
    """An accept file."""
    text = """accept = [{id = "xnnpack-gone", reason = "we ship the frozen file", owner = "ml", expires = 2027-01-31},
      {id = "label[digits-qnnpack-lite]", reason = "known", owner = "ml", expires = 2027-01-31}]"""
    return tree_reader(folder, tree_of(text), lambda path: read_acceptances((), path))


def own_cases(folder: Path) -> Reader:
    """A user's own cases, with a tolerance."""
    case = {
        "id": "mine",
        "title": "my ViT",
        "build": "mine:build",
        "weights": "a.pth",
        "input": [3, 32, 32],
        "files": "mine",
    }
    shown = [{"file": "a.png", "label": 1, "name": "a"}, {"file": "b.png", "label": 0}]
    bound = {
        "id": "mine.size",
        "claim": "size",
        "statistic": "size_ratio",
        "unit": "1",
        "against": "parent",
        "upper": 2.0,
    }
    words = {"reason": "small", "measured": "here"}
    sound = {
        "case": [{**case, "picture": shown, "operators": ["aten::mean.dim"]}],
        "tolerance": [{**bound, **words}],
    }

    def read(path: Path) -> Tolerances:
        return Tolerances([], path, tolerances.own_tolerances(cases.read_own.__wrapped__(path), path))

    return tree_reader(folder, sound, read)


_REQUIREMENTS = b"""# pinned
torch==2.12.1 \\
    --hash=sha256:""" + b"0a" * 32 + b"""
torchvision==0.27.1
timm>=1.0.20,<2 ; python_version >= "3.10"
numpy @ https://example.org/numpy-2.0-py3-none-any.whl
"""  # fmt: skip


def _side(text: str) -> None:
    side = parse_side(text, where="OLD")
    whole_set(side, Needs(("timm>=1.0.15", "torch>=1.13.1")))
    is_pinned(side)


def requirements(folder: Path) -> Reader:
    """A requirements file."""
    case = lambda rng: (spoil.in_text if rng.random() < 0.6 else spoil.in_bytes)(rng, _REQUIREMENTS)  # noqa: E731  # likewise
    return Reader(folder / "requirements.txt", [_REQUIREMENTS], case, lambda path: _side(str(path)))


def side(folder: Path) -> Reader:
    """What the user writes in the place of a version."""
    sound = [
        b"2.12.1",
        b"torch==2.12.1 timm==1.0.20",
        b"torch >= 2.0, < 3",
        b"2.13rc1",
        b"torch @ https://example.org/t.whl",
    ]

    def case(rng: Random) -> bytes:
        return (spoil.in_text if rng.random() < 0.3 else spoil.in_bytes)(rng, rng.choice(sound))

    return Reader(folder / "text", sound, case, lambda path: _side(path.read_bytes().decode(errors="surrogateescape")))
