"""Two committed records, and what a user accepts who goes from one release to the other."""

from __future__ import annotations

from vitgate.files.schemas import fixtures_folder

RECORDS = fixtures_folder() / "records"
OLD, NEW = str(RECORDS / "2.12.1.json"), str(RECORDS / "2.15.0.json")
CAUSES = ("xnnpack-gone", "xnnpack-gone-files", "xnnpack-gone-lite-files", "xnnpack-gone-call", "profiler-use-cuda")
ACCEPTED = tuple(word for cause in CAUSES for word in ("--accept", cause))
