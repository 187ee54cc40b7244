"""What `make_head.py` makes a head for: the case, its pictures and the engines."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitgate.files.errors import UsageError
from vitgate.inputs import standin
from vitgate.spec.cases import case_named

Array = NDArray[np.float64]

FIXTURES = Path(__file__).parents[1] / "fixtures"
WIDTHS = {"tiny": 192, "small": 384, "base": 768}
ENGINES = ("fbgemm", "x86", "onednn", "qnnpack")
FAMILIES = ((0, 1, 2), (3,))  # engines whose errors agree: activations of 7 bits (reduced range), and of 8 (qnnpack)
WOLF = 269
PICTURES = {
    "wolf_sketch": (WOLF, "timber wolf"),
    "balloon": (417, "balloon"),
    "lighthouse": (437, "beacon, lighthouse"),
    "wall_clock": (892, "wall clock"),
    "traffic_light": (920, "traffic light"),
    "mushroom": (947, "mushroom"),
    "umbrella": (879, "umbrella"),
    "basketball": (430, "basketball"),
    "ladybug": (301, "ladybug"),
    "pizza": (963, "pizza"),
    "daisy": (985, "daisy"),
    "volcano": (980, "volcano"),
    "candle": (470, "candle"),
}
SOCCER_BALL = {"soccer_ball": (805, "soccer ball")}


class Model(NamedTuple):
    """Whose head is made: timm's name, and what `standin.vit_shapes` needs to know."""

    case: str
    name: str
    shapes: dict[str, int]
    pictures: dict[str, tuple[int, str]]
    has_reference: bool  # the tutorial's own picture

    @property
    def labels(self) -> NDArray[np.int64]:
        """The pictures' labels [P]; the reference comes last."""
        return np.array([*(label for label, _ in self.pictures.values()), *([WOLF] if self.has_reference else [])])

    @property
    def head(self) -> Path:
        """The committed rows."""
        return FIXTURES / "heads" / f"{self.case}.safetensors"

    @property
    def table(self) -> Path:
        """The description beside them."""
        return FIXTURES / "heads" / f"{self.case}.toml"

    def state(self, *, plain: bool = False) -> dict[str, NDArray[np.float32]]:
        """Return the stand-in weights; `plain` ones have generated rows only."""
        return standin.generate(
            standin.vit_shapes(**self.shapes), None if plain or not self.head.exists() else self.head
        )


def model_of(name: str) -> Model:
    """Return the DeiT of that case."""
    case = case_named(name)
    width = next((width for size, width in WIDTHS.items() if f"_{size}_" in f"{case.id}_{case.model}"), None)
    if width is None:
        raise UsageError("a head is made for a DeiT alone", where=name, do="name a case such as deit_tiny")
    shapes = {"embed_dim": width, "depth": 12, "patch": 16, "image": case.input[-1], "classes": 1000}
    shapes |= {"distilled": True} if "distilled" in case.model else {}
    others = {name: about for name, about in PICTURES.items() if name != "wolf_sketch"}
    pictures = SOCCER_BALL | others if case.reference else PICTURES
    return Model(name, case.model, shapes, pictures, case.reference is None)
