"""What the editions of the tutorial print as results (`fixtures/published.toml`): shown beside a run, never judged."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from vitgate.files.schemas import fixtures_folder, read_model, Strict, unique
from vitgate.spec.variants import VariantName

CASE = "deit_base"
"""The case whose model the tutorial deploys: no other's figures can be set beside the published ones."""

TUTORIAL: tuple[VariantName, ...] = ("original", "scripted", "scripted_quantized", "optimized", "lite")
"""The variants that the tutorial times, in its order."""

_Positive = Annotated[float, Field(gt=0)]


class Edition(Strict):
    """One table of results: latencies in ms of all five variants, sizes in MB of the files that it names.

    `torch` is the version that it prints and `machine` where it says that it ran; both are empty where it does not say.
    """

    id: str
    title: str
    url: str = Field(default="", pattern=r"^(https://[^\s\"'<>]+)?$")
    torch: str = ""
    machine: str = ""
    latency_ms: dict[VariantName, _Positive]
    size_mb: dict[VariantName, _Positive] = {}

    @field_validator("latency_ms")
    @classmethod
    def _is_whole(cls, found: dict[VariantName, float]) -> dict[VariantName, float]:
        if set(found) != set(TUTORIAL):
            raise ValueError(f"it must have {', '.join(TUTORIAL)}")
        return found

    def ratio(self, variant: VariantName) -> float:
        """Return the variant's latency as a share of the original's on the same machine."""
        return self.latency_ms[variant] / self.latency_ms["original"]


class PublishedFile(Strict):
    """The whole of `published.toml`."""

    edition: list[Edition]


@cache
def read_published(path: Path | None = None) -> tuple[Edition, ...]:
    """Return the editions in the file's order; UsageError for a duplicate or a table that is not whole."""
    path = path or fixtures_folder() / "published.toml"
    rows = read_model(PublishedFile, path).edition
    unique([row.id for row in rows], where=path)
    return tuple(rows)
