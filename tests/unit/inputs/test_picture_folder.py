"""A folder of the user's pictures: what is in it, which label each gets, and one clear line for whatever is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitgate.files.errors import UsageError
from vitgate.inputs.picture_folder import check_classes, contents, folder_from, LabelledFolder, read_folder

from ..conftest import Refuses

Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Return a helper that makes empty files of these names in a folder, and folders of names that end in a slash."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "pictures" / name
            path.mkdir(parents=True) if name.endswith("/") else path.parent.mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return tmp_path / "pictures"

    return make


def draw(path: Path, side: int = 32, form: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path, form)
    return path


def labels(found: LabelledFolder) -> dict[str, int]:
    return dict(zip(found.names, found.labels.tolist(), strict=True))


# Layout


def test_named_classes_are_numbered_in_sorted_order(fill: Fill) -> None:
    found = read_folder(fill("n02/b.JPEG", "n01/a.jpg", "n03/", "B/c.png"))

    assert labels(found) == {"B/c.png": 0, "n01/a.jpg": 1, "n02/b.JPEG": 2}
    assert (found.classes, found.numbered) == (("B", "n01", "n02", "n03"), False)


def test_class_order_is_that_of_torchvision(fill: Fill) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision comes with the suite's own environment")
    folder = fill(*(f"{name}/a.png" for name in ("b", "B", "a10", "a9", "_", "é", "0x")))

    theirs = datasets.ImageFolder(str(folder))

    assert read_folder(folder).classes == tuple(theirs.classes)
    assert labels(read_folder(folder)) == {str(Path(name).relative_to(folder)): label for name, label in theirs.samples}


def test_numeric_folder_names_are_labels(fill: Fill) -> None:
    found = read_folder(fill("10/a.png", "007/b.png", "285/c.webp"))

    assert labels(found) == {"007/b.png": 7, "10/a.png": 10, "285/c.webp": 285}
    assert found.numbered


def test_one_non_numeric_folder_makes_all_names(fill: Fill) -> None:
    found = read_folder(fill("10/a.png", "9/b.png", "cat/c.png"))

    assert labels(found) == {"10/a.png": 0, "9/b.png": 1, "cat/c.png": 2}


def test_order_does_not_depend_on_file_system(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real = fill("b/2.png", "b/1.png", "a/3.png"), os.scandir
    expected = ("a/3.png", "b/1.png", "b/2.png")

    class Backwards:
        def __init__(self, path: Path) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    assert read_folder(folder).names == expected
    monkeypatch.setattr(os, "scandir", Backwards)
    assert read_folder(folder).names == expected


def test_ignored_files_are_counted(fill: Fill) -> None:
    others = ("a/notes.txt", "a/._1.png", "a/Thumbs.db", "a/deeper/2.png", "list.csv", ".git/x.png")
    found = read_folder(fill("a/1.png", "b/3.PNG", *others))

    assert found.names == ("a/1.png", "b/3.PNG")
    assert found.ignored == 6
    assert found.note.startswith("2 pictures of 2 classes in ")
    assert found.note.endswith("; 6 other files ignored")


def test_symbolic_links_are_followed(fill: Fill, tmp_path: Path) -> None:
    folder = fill("a/1.png")
    draw(tmp_path / "elsewhere" / "2.png")
    (folder / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "a" / "3.png").symlink_to(tmp_path / "elsewhere" / "2.png")

    assert labels(read_folder(folder)) == {"a/1.png": 0, "a/3.png": 0, "b/2.png": 1}


def test_folder_round_trips_through_evidence(fill: Fill) -> None:
    found = read_folder(fill("a/1.png", "b/2.png", "c/", "d.txt"))

    again = folder_from(found.to_evidence("ab"))

    assert labels(again) == labels(found)
    assert (again.folder, again.classes, again.numbered, again.ignored) == (found.folder, ("a", "b", "c"), False, 1)


# Mistakes


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("1.png", "2.png"), ("no folders of classes", "DIR/<class>/<picture>")),
        (("a/", "b/"), ("no pictures in 2 folders",)),
        (("train/cat/1.png", "val/cat/2.png"), ("no pictures in 2 folders", "DIR/<class>/<picture>")),
        (("a/1.txt", "a/2.eps"), ("no pictures in 1 folders", "(2 other files)")),
        (("7/1.png", "007/2.png"), ("the folders 007 and 7 are of one class",)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_folder_of_another_layout_gives_one_line_error(
    fill: Fill, refuses: Refuses, names: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folder = fill(*names)

    refuses(lambda: read_folder(folder), str(folder), *words)


def test_missing_folder_gives_one_line_error(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "file").touch()

    refuses(lambda: read_folder(tmp_path / "nowhere"), "No such file or directory", "nowhere", "--images")
    refuses(lambda: read_folder(tmp_path / "file"), "Not a directory", "file")


def test_unreadable_folder_gives_one_line_error(fill: Fill, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real = fill("a/1.png", "b/2.png"), os.scandir

    def denied(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)

    refuses(lambda: read_folder(folder), "Permission denied", str(folder / "b"))


@pytest.mark.parametrize(
    ("names", "classes", "words"),
    [
        (("a/1.png", "b/2.png"), 3, ("2 classes by name, but shapes has 3", "class index (0 to 2)", "sorted by name")),
        (("0/1.png", "3/2.png"), 3, ("a class 3, but shapes has 3", "class index (0 to 2)", "sorted by name")),
    ],
)
def test_labels_outside_model_give_one_line_error(
    fill: Fill, refuses: Refuses, names: tuple[str, str], classes: int, words: tuple[str, str, str]
) -> None:
    refuses(lambda: check_classes(read_folder(fill(*names)), classes, "shapes"), *words)


def test_labels_of_model_are_accepted(fill: Fill) -> None:
    check_classes(read_folder(fill("a/1.png", "b/2.png", "c/")), 3, "shapes")  # an empty class is a class
    check_classes(LabelledFolder(Path(), ("2/1.png",), np.array([2]), ("2",), True, 0), 3, "shapes")


# Contents


def test_every_picture_is_read_up_front(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    draw(tmp_path / "a" / "2.jpg", form="JPEG")
    done: list[int] = []

    found = read_folder(tmp_path)

    assert contents(found, done.append, decode=True) == contents(found, done.append, decode=False)
    assert done == [1, 2, 1, 2]


def test_changed_picture_changes_digest(tmp_path: Path) -> None:
    path = draw(tmp_path / "a" / "1.png")
    before = contents(read_folder(tmp_path), lambda done: None, decode=True)
    draw(path, side=33)

    assert contents(read_folder(tmp_path), lambda done: None, decode=True) != before


def test_changed_labels_change_digest(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    before = contents(read_folder(tmp_path), lambda done: None, decode=True)
    (tmp_path / "a").rename(tmp_path / "b")

    assert contents(read_folder(tmp_path), lambda done: None, decode=True) != before


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize("spoil", [truncated, emptied, piped, dangling, removed])
def test_unreadable_picture_is_named(tmp_path: Path, refuses: Refuses, spoil: Callable[[Path], None]) -> None:
    draw(tmp_path / "a" / "1.png")
    path = draw(tmp_path / "a" / "2.png")
    found = read_folder(tmp_path)
    spoil(path)

    refuses(lambda: contents(found, lambda done: None, decode=True), str(path))


@pytest.mark.parametrize("spoil", [piped, dangling, removed])
def test_unreadable_file_is_named_even_with_user_decoder(
    tmp_path: Path, refuses: Refuses, spoil: Callable[..., None]
) -> None:
    path = draw(tmp_path / "a" / "1.png")
    found = read_folder(tmp_path)
    spoil(path)

    refuses(lambda: contents(found, lambda done: None, decode=False), "no such picture, or no regular file", str(path))


def test_undecodable_file_name_is_accepted(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png").rename(os.fsdecode(os.fsencode(tmp_path / "a") + b"/\xff\n.png"))

    found = read_folder(tmp_path)

    assert contents(found, lambda done: None, decode=True)
    with pytest.raises(UsageError) as caught:
        (tmp_path / found.names[0]).write_bytes(b"")
        contents(found, lambda done: None, decode=True)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()
