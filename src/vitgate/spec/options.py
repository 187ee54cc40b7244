"""The options of a run, each declared once: its name, its type and what it is where the user says nothing.

pytest's and click's options, the reference page and the command lines of other runs are rendered from `RunRequest`, and
the plan of a run is one. So a new option is a field here, and is read from the plan where it takes effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from vitgate.spec.engines import ENGINES, NO_ENGINE
from vitgate.spec.processors import HOST, LOWEST, PROCESSORS

OWN = "VITGATE_CASES"
"""The environment variable that names the user's files of cases, joined by `os.pathsep`, for all processes of a run."""

WEIGHTS_WORDS = ("auto", "pretrained", "hub", "standin")

Kind = Literal["text", "texts", "number", "flag"]
Value = TypeVar("Value")
Asked = TypeVar("Asked", bound="RunRequest")


@dataclass(frozen=True)
class RunOption:
    """An option of a run.

    `name` is that of its value in Python: `case_file`. `kind` is what it takes: a text (once), texts (repeatable), a
    number, or nothing. `envvar` is the environment variable that stands for it. `default` holds where the user says
    nothing; `default_words` is what the help says. `is_input`: it names what the run reads, unless it is one of
    `words`; relative paths of such are made absolute before a process in another folder gets them.
    """

    name: str
    default: str | float | bool | tuple[str, ...] | None
    help: str
    metavar: str
    kind: Kind
    default_words: str
    envvar: str
    is_input: bool
    words: tuple[str, ...]

    @property
    def flag(self) -> str:
        """What the user writes: `--case-file`."""
        return "--" + self.name.replace("_", "-")

    def absolute(self, value: Any) -> Any:
        """Return the value with absolute paths, each of several once, if it names what the run reads."""
        if not self.is_input or not value or value in self.words:
            return value
        if isinstance(value, tuple):
            return tuple(map(self.absolute, dict.fromkeys(value)))
        return str(Path(value).absolute())

    def arguments(self, value: Any) -> list[str]:
        """Return what a command line says of the value: nothing where it is the default."""
        if value == self.default:
            return []
        values = value if isinstance(value, tuple) else (value,)
        return [self.flag] if self.kind == "flag" else [f"{self.flag}={each}" for each in values]


def _flag(says: str) -> Any:
    return _option(False, says, kind="flag")


def _option(
    default: Value,
    help: str,
    metavar: str = "",
    kind: Kind = "text",
    *,
    default_words: str = "",
    envvar: str = "",
    is_input: bool = False,
    words: tuple[str, ...] = (),
) -> Value:
    """Return the field of an option; the parameters are the attributes of `RunOption`."""
    told = {"help": help, "metavar": metavar, "kind": kind, "default_words": default_words, "envvar": envvar}
    return field(default=default, metadata={**told, "is_input": is_input, "words": words})


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What the user asks of a run: each field is an option, of the same name, and its default.

    A text is None where the user says nothing: an empty one may be a mistake of theirs.
    """

    case: tuple[str, ...] = _option(
        (),
        "check this case only, or all; repeatable",
        "ID",
        "texts",
        default_words="deit_base, digits, and those of --case-file",
    )
    case_file: tuple[str, ...] = _option(
        (),
        f"a TOML file with cases of yours, besides those that {OWN} names; repeatable",
        "FILE",
        "texts",
        is_input=True,
    )
    engine: tuple[str, ...] = _option(
        (),
        f"check this engine only: {', '.join(ENGINES)}; repeatable",
        "NAME",
        "texts",
        default_words="all that the build supports",
    )
    successors: bool = _flag(
        "check the successors of TorchScript too (as the engine none): torch.export, AOTInductor, ExecuTorch, "
        "ONNX Runtime, as far as their packages are installed"
    )
    types: bool = _flag(
        "check further number types of the successors too: bfloat16, int8 of the weights alone, and static int8, whose "
        "scales come from calibration pictures; gives --successors"
    )
    claim: tuple[str, ...] = _option(
        (),
        "run only the tests of this claim (build) or row (build[digits-qnnpack-optimized]); repeatable",
        "ID",
        "texts",
    )
    shard: str | None = _option(
        None, "check part K of N of the conformance tests; `vitgate merge` puts the parts' records together", "K/N"
    )
    weights: str = _option(
        "auto",
        "where the weights come from. auto: the published checkpoint if it is cached or can be downloaded, otherwise "
        "the generated stand-in; pretrained: the checkpoint or exit status 6; hub: as the authors' own repository "
        "loads it, which runs its code; FILE: a .pth or .safetensors of yours",
        "auto|pretrained|hub|standin|FILE",
        default_words="auto",
        is_input=True,
        words=WEIGHTS_WORDS,
    )
    assets: str | None = _option(
        None,
        "folder that holds the reference picture image.png",
        "DIR",
        default_words="the environment variable VITGATE_ASSETS",
        envvar="VITGATE_ASSETS",
        is_input=True,
    )
    processor: str = _option(
        HOST,
        f"hold all kernels to the instructions of this processor: {', '.join(PROCESSORS)}",
        "NAME",
        default_words=f"{HOST}, the machine's own",
    )
    processors: str | None = _option(
        None,
        "run the int8 files on each lower processor too that this machine can be held to. all: by variables; valgrind: "
        "those of ONNX Runtime and XNNPACK under valgrind too, which takes minutes",
        "all|valgrind",
    )
    ships_to: str = _option(
        LOWEST,
        "the least processor that your files will run on: --processors goes no lower, and only with host does advice "
        "name AOTInductor packages, which are for the machine that compiled them",
        "NAME",
        default_words=LOWEST,
    )
    memory: bool = _flag(
        "measure in fresh processes what each file takes of memory, and whether calls leave some behind; takes seconds "
        "a file, of a large model a minute"
    )
    no_latency: bool = _flag("leave out what measures time, the claims latency and table, as --processor does")
    artifact_cache: str | None = _option(
        None, "keep built artifacts here between runs", "DIR", default_words="a temporary folder", is_input=True
    )
    field: tuple[str, ...] = _option(
        (),
        "a folder of files of yours, which are run too: .pt, .ptl, .pt2, .pte, .onnx; repeatable",
        "DIR",
        "texts",
        is_input=True,
    )
    allow_code: bool = _flag(
        "run AOTInductor packages that were made elsewhere: they are machine code, and do whatever their maker wants"
    )
    images: str | None = _option(
        None,
        "labelled pictures of yours, DIR/<class>/<picture>: accuracy, agreement and calibration of every variant",
        "DIR",
        is_input=True,
    )
    images_accuracy: float | None = _option(
        None,
        "fail where the accuracy over --images is lower than this, from 0 to 1, by more than chance",
        "SHARE",
        "number",
    )
    export: str | None = _option(
        None,
        "write what this run built, with inputs and logits, into this folder, for another PyTorch's --field",
        "DIR",
    )
    export_packed: bool = _flag("put the exported files into one archive")
    record: str = _option(
        "vitgate-record.json", "write the run's record here", "FILE", default_words="vitgate-record.json"
    )
    report: str | None = _option(None, "write the run's report here, one HTML page that needs nothing else", "FILE")

    @classmethod
    def of(cls: type[Asked], values: Mapping[str, Any]) -> Asked:
        """Return the request of these values by name, as pytest and click give them: None for what nobody said."""
        said = {name: value for name, value in values.items() if value is not None}
        taken: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return cls(**taken)

    @property
    def has_successors(self) -> bool:
        """Whether it is about successors of TorchScript."""
        return self.successors or self.types or NO_ENGINE in self.engine

    def absolute(self: Asked) -> Asked:
        """Return the request with absolute paths of what the run reads."""
        return replace(self, **{each.name: each.absolute(getattr(self, each.name)) for each in RUN_OPTIONS})

    def arguments(self) -> list[str]:
        """Return it as pytest's arguments, without what is as by default."""
        return [text for option in RUN_OPTIONS for text in option.arguments(getattr(self, option.name))]


RUN_OPTIONS = tuple(
    RunOption(each.name, getattr(RunRequest, each.name), **each.metadata) for each in fields(RunRequest)
)
