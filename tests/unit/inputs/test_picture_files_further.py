"""Further pictures, which published weights alone are known to name right: downloaded, given, or left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs import sources
from vitgate.inputs.picture_files import further_picture, ReferencePicture
from vitgate.inputs.pictures import pictures_of
from vitgate.spec.cases import read_cases

from .picture_site import QUICK, send, Site

CASE = read_cases()["deit_base"]
FILE = CASE.further[0].file
SKETCH = fixtures_folder() / "images" / "daisy.png"


def further(site: Site, folder: Path, assets: Path | None = None) -> ReferencePicture | str:
    return further_picture(assets, FILE, site.url, cache=folder / "cache", patience=QUICK)


def test_further_picture_is_downloaded_once_and_cached(site: Site, tmp_path: Path) -> None:
    site.answers = [lambda handler: send(handler, 200, SKETCH.read_bytes())]

    first, second = further(site, tmp_path), further(site, tmp_path)

    assert isinstance(first, ReferencePicture)
    assert isinstance(second, ReferencePicture)
    assert (first.source, second.source, site.requests) == ("download", "cache", 1)
    assert first.path.read_bytes() == SKETCH.read_bytes()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [(404, b"no", "answered 404"), (200, b"<html>log in</html>", ""), (200, SKETCH.read_bytes()[:900], "no picture")],
    ids=["gone", "portal", "cut"],
)
def test_invalid_further_picture_is_left_out_and_not_cached(
    status: int, body: bytes, says: str, site: Site, tmp_path: Path
) -> None:
    site.answers = [lambda handler: send(handler, status, body)]

    found = further(site, tmp_path)

    assert isinstance(found, str)
    assert found
    assert says in found
    assert not (tmp_path / "cache" / FILE).exists()


def test_user_copy_of_further_picture_takes_precedence(site: Site, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / FILE)

    found = further(site, tmp_path, assets=tmp_path)

    assert isinstance(found, ReferencePicture)
    assert (found.source, found.path, site.requests) == ("assets", tmp_path / FILE, 0)


def test_invalid_user_copy_of_further_picture_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no picture")

    with pytest.raises(UsageError, match="not a picture"):
        further(site, tmp_path, assets=tmp_path)


def test_further_picture_is_judged_with_pretrained_weights_alone(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "red").save(tmp_path / FILE)

    published, standin = (sources.picture_source(CASE, str(tmp_path), kind) for kind in ("pretrained", "standin"))
    seen, unseen = (pictures_of(CASE, each) for each in (published, standin))

    assert "must be called 285, Egyptian cat" in published.values["note"]
    assert (seen.values["names"][:2], list(seen.arrays["labels"][:2])) == (["reference", "Egyptian cat"], [269, 285])
    assert (seen.values["known"], unseen.values["known"]) == (2, 1)
    assert len(seen.arrays["x"]) == len(unseen.arrays["x"]) + 1
    assert list(unseen.arrays["labels"]) == [269, *seen.arrays["labels"][2:]]


def test_unavailable_further_picture_is_left_out_with_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "further_picture", lambda *_: "there is no network")

    found = sources.picture_source(CASE, str(tmp_path), "pretrained")

    assert found.values["further"] == []
    assert "Egyptian cat was left out, because there is no network" in found.values["note"]
