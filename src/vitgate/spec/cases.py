"""What is deployed: the cases of `fixtures/cases.toml`, and the cells (case × engine × variant) that they span."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator, PrivateAttr

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder, InnerPath, read_model, Strict, unique
from vitgate.spec.model_output import LOGITS, ModelOutput, read_output
from vitgate.spec.options import OWN

ALL = "all"
"""What stands for every case on the command line."""

TUTORIAL_CASE = "deit_base"
"""The model of the tutorial, of which alone it states numbers."""

TRANSFORMERS_MODEL = "ViTForImageClassification"
"""The one class of transformers that a case can name."""

LIBRARY_ADVICE = 'pip install "vitgate[transformers]"'
"""What to do where the library is missing that builds a case's model."""

_FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"

_AXES = ("channels", "height", "width")
_Size = Annotated[int, Field(gt=0)]
_Label = Annotated[int, Field(ge=0)]


class CheckpointRow(Strict):
    """Where the published weights are: address, and the first digits of the sha256 (as the file name carries them).

    `file` is its name in the cache, where the address ends in one that says nothing.
    """

    url: str = Field(pattern=r"^https?://[^\s/?#\[\]]+/([^\s?#]*/)?[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    file: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$")


class HubRow(Strict):
    """A repository on GitHub that torch.hub can load, at one commit, and the name of the model in it."""

    repository: str = Field(pattern=r"^[A-Za-z0-9_\-]+/[A-Za-z0-9_.\-]+$")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    entry: str = Field(pattern=r"^[A-Za-z_]\w*$")


class ReferenceRow(Strict):
    """A picture whose label the published weights are known to give: the name of its file in the folder of assets."""

    file: str = Field(pattern=r"^[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$")
    label: int = Field(ge=0)


class FurtherRow(ReferenceRow):
    """A further picture whose label the published weights are known to give, and where it is published.

    Nobody publishes its sha256: whatever picture comes from there is taken, and its sha256 is shown.
    """

    name: str
    url: str = Field(pattern=r"^https?://[^\s/?#\[\]]+/[^\s]+$")


class Case(Strict):
    """One deployed model; what it leaves out, no claim is made about.

    `library` builds the model: timm by the name in its registry that `model` is, or `VisionTransformer` for one built
    from `arguments` alone; transformers a `ViTForImageClassification`, `arguments` being its configuration's. No name
    leads to a download or to others' code.
    `conversion` is how the model becomes TorchScript: `trace` for one whose code torch.jit.script cannot compile.
    `parameters` is how many numbers are trained, as published. A case that is not `default` runs where it is named.
    `hub` is where its authors' own code loads the published weights, for who asks for that.
    `reference` is the picture with a known label, where it is not the tutorial's own.
    `trained` names committed weights (safetensors) that are the real ones; `standin` the head of the generated ones.
    `arithmetic` is what the graph of the model computes, in the words of `vitgate.observe.arithmetic`.
    `anchor` names the float model's logits of made-up pictures, for the weights that are `trained` or stand in.
    `heldout` names the labelled pictures of the accuracy claim (npz: images uint8 [N, H, W], labels uint8 [N]).
    `tables` is the folder of the accepted benchmark tables. `operators` are those that the lite file may need beside
    the ones of `fixtures/operators.toml`.
    `batch` are the numbers of pictures that a server of the model answers in one call.
    """

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    library: Literal["timm", "transformers"] = "timm"
    model: str = Field(pattern=r"^[A-Za-z0-9_.]+$")  # no address: timm would load what it leads to
    arguments: dict[str, Any] = {}
    conversion: Literal["script", "trace"] = "script"
    input: tuple[_Size, _Size, _Size]
    parameters: int | None = Field(default=None, gt=0)
    default: bool = False
    files: str = Field(pattern=r"^[A-Za-z0-9_\-]+$")
    arithmetic: dict[str, int] | None = None
    anchor: InnerPath | None = None
    preprocessing: Literal["tutorial", "digits", "transformers"]
    checkpoint: CheckpointRow | None = None
    hub: HubRow | None = None
    reference: ReferenceRow | None = None
    further: tuple[FurtherRow, ...] = ()
    standin: InnerPath | None = None
    trained: InnerPath | None = None
    heldout: InnerPath | None = None
    tables: InnerPath | None = None
    operators: tuple[str, ...] = ()
    batch: tuple[_Size, ...] | None = None

    @field_validator("batch")
    @classmethod
    def _is_of_several_pictures(cls, sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if sizes is not None and (max(sizes, default=1) == 1 or len(set(sizes)) < len(sizes)):
            raise ValueError("name each size once, and one above 1, such as batch = [1, 8]")
        return sizes

    @model_validator(mode="after")
    def _model_is_the_librarys(self) -> Case:
        if self.library == "transformers" and self.model != TRANSFORMERS_MODEL:
            raise ValueError(f"library transformers builds {TRANSFORMERS_MODEL} alone, not {self.model!r}")
        if self.library == "transformers" and any(isinstance(value, str) for value in self.arguments.values()):
            raise ValueError("the configuration of transformers' model may hold numbers alone: names can lead to code")
        return self

    @property
    def reads_files(self) -> str | None:
        """How a picture's file becomes the model's input; None where its pictures come otherwise."""
        return None if self.preprocessing == "digits" else self.preprocessing

    @property
    def image_processor(self) -> str | None:
        """The library whose own image processors its pictures go through too; None where they go another way."""
        return self.preprocessing if self.preprocessing == "transformers" else None

    @property
    def returns(self) -> ModelOutput:
        """What of the model's output is judged."""
        return LOGITS

    @property
    def folder(self) -> Path:
        """The folder in which the files lie that the case names."""
        return fixtures_folder()


class CaseFile(Strict):
    """The whole of `cases.toml`."""

    case: list[Case]


class OwnPicture(Strict):
    """A picture of the user's: its file, the index of its class, what it shows.

    Of a model that decides several labels, `labels` are all that hold, or `label` one of them.
    """

    file: InnerPath
    label: int | None = Field(default=None, ge=0)
    labels: tuple[_Label, ...] | None = None
    name: str = ""


class OwnCase(Case):
    """A model of the user's own, from a TOML file of theirs. Paths are relative to that file's folder.

    `build` is called without arguments and returns the `torch.nn.Module`; `weights` is a state dict for it (`.pth`,
    `.pt`, `.safetensors`), and where there is none it comes with its weights. `transform` turns the path of a picture
    into its tensor, float32 [C, H, W]; without it pictures go the tutorial's way. Both functions are
    `package.module:function`, found as Python finds modules, and first in the file's folder. `calibration` are files of
    pictures, or folders of them, by which static int8 chooses its scales; by default those of `picture`. `output` says
    what the model returns, and what of it is judged, in the words of `vitgate.spec.model_output`. `inputs` names the
    golden inputs, which `vitgate golden` writes.
    """

    model: str = ""
    build: str = Field(pattern=_FUNCTION)
    weights: InnerPath | None = None
    transform: str | None = Field(default=None, pattern=_FUNCTION)
    preprocessing: Literal["tutorial", "digits", "transformers"] = "tutorial"
    output: str = str(LOGITS)
    picture: list[OwnPicture] = Field(min_length=1)
    calibration: tuple[InnerPath, ...] = ()
    inputs: InnerPath | None = None
    default: bool = True
    _file: Path = PrivateAttr(default=Path())

    @field_validator("input", mode="before")
    @classmethod
    def _is_one_size(cls, shape: object) -> object:
        sizes = shape if isinstance(shape, (list, tuple)) else ()
        if len(sizes) != len(_AXES) or not all(type(size) is int and size > 0 for size in sizes):
            what = f"{shape!r} is not the size of one picture: give {', '.join(_AXES)}, such as [3, 224, 224]"
            raise ValueError(
                f"{what}; a model that takes several sizes needs a case for each, one of several inputs a wrapper"
            )
        return shape

    @field_validator("output")
    @classmethod
    def _is_output(cls, words: str) -> str:
        return str(read_output(words))

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> OwnCase:
        for name in sorted(
            self.model_fields_set
            & {"library", "model", "arguments", "checkpoint", "hub", "standin", "trained", "heldout"}
        ):
            raise ValueError(f"{name} is for the suite's own cases; give build, weights and picture")
        return self

    @model_validator(mode="after")
    def _labels_are_of_the_output(self) -> OwnCase:
        kind = self.returns.kind
        for row in self.picture:
            if row.labels is not None and kind != "multilabel":
                raise ValueError(f'{row.file} has labels, which are for output = "multilabel": give label')
            if row.labels is not None and row.label is not None:
                raise ValueError(f"{row.file} has label and labels: give all of them as labels, or one as label")
            if row.label is None and row.labels is None and kind != "embedding":
                what = "labels, or label" if kind == "multilabel" else 'label, or output = "embedding"'
                raise ValueError(f"{row.file} has no label: give {what}")
        return self

    @property
    def picture_names(self) -> tuple[str, ...]:
        """What the pictures are called, in their order."""
        return tuple(row.name or Path(row.file).stem for row in self.picture)

    @property
    def reads_files(self) -> str | None:
        """By the user's own function, or one of the suite's ways; None where one label says nothing of a picture."""
        return (self.transform or self.preprocessing) if self.returns.kind == "logits" else None

    @property
    def image_processor(self) -> str | None:
        """As of the suite's own cases; a function of the user's is compared with nothing."""
        return None if self.transform else super().image_processor

    @property
    def returns(self) -> ModelOutput:
        """What `output` says."""
        return read_output(self.output)

    @property
    def folder(self) -> Path:
        """The folder of the file that describes the case."""
        return self._file.parent


class OwnCases(Strict):
    """The whole of a user's file: cases, and tolerances for them, as `vitgate.judge.tolerances` reads those."""

    case: list[OwnCase] = Field(min_length=1)
    tolerance: list[dict[str, Any]] = []


def read_cases(path: Path | None = None) -> dict[str, Case]:
    """Return the cases by id: those of `fixtures/cases.toml` in its order, then the user's own."""
    if path is not None:
        return _committed(path)
    return _all(fixtures_folder() / "cases.toml", own_files())


def own_files() -> tuple[Path, ...]:
    """Return the user's own files of cases."""
    return tuple(Path(name).absolute() for name in os.environ.get(OWN, "").split(os.pathsep) if name)


def name_own(files: Iterable[str]) -> None:
    """Name further files of cases, for this process and all that it starts; UsageError where they cannot be read."""
    named = dict.fromkeys([*own_files(), *(Path(file).absolute() for file in files)])
    if named:
        os.environ[OWN] = os.pathsep.join(map(str, named))
        read_cases()


def missing_library(case: Case) -> str:
    """Return the optional library that builds the case's model, where it is not installed; it is not imported."""
    return _absent(case.library if case.library != "timm" else None)


def missing_processor(case: Case) -> str:
    """Return the optional library whose image processors its pictures go through, where it is not installed."""
    return _absent(case.image_processor)


def _absent(library: str | None) -> str:
    return library if library and find_spec(library) is None else ""


@cache
def read_own(path: Path) -> OwnCases:
    """Return the user's cases and tolerances; UsageError where the file is not such."""
    found = read_model(OwnCases, path)
    for row in found.case:
        row._file = path
    return found


@cache
def _all(path: Path, own: tuple[Path, ...]) -> dict[str, Case]:
    rows = [*_committed(path).values(), *(row for file in own for row in read_own(file).case)]
    unique([row.id for row in rows], where=", ".join(map(str, own)) or path)
    return {row.id: row for row in rows}


@cache
def _committed(path: Path) -> dict[str, Case]:
    rows = read_model(CaseFile, path).case
    unique([row.id for row in rows], where=path)
    return {row.id: row for row in rows}


def default_cases() -> tuple[str, ...]:
    """Return the cases that run where none is named: the tutorial's model, and the small one."""
    return tuple(row.id for row in read_cases().values() if row.default)


def cases_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of these cases, each once; `all` is every one. UsageError for an unknown one."""
    found = (tuple(read_cases()) if name == ALL else (case_named(name).id,) for name in names)
    return tuple(dict.fromkeys(case for cases in found for case in cases))


def case_named(name: str) -> Case:
    """Return the case of that exact id; UsageError names the known ones."""
    cases = read_cases()
    if name not in cases:
        raise UsageError(f"unknown case {name!r}", where="--case", do=f"choose from {', '.join(cases)}, or {ALL}")
    return cases[name]
