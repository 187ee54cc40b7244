"""The options of a run, each declared once; pytest, `vitgate` and the reference page are rendered from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vitgate.spec.engines import ENGINES
from vitgate.spec.processors import HOST, PROCESSORS

OWN = "VITGATE_CASES"
"""The environment variable that names the user's files of cases, joined by `os.pathsep`, for all processes of a run."""

WEIGHTS_WORDS = ("auto", "pretrained", "hub", "standin")


@dataclass(frozen=True)
class RunOption:
    """An option of a run.

    `kind` is what it takes: a text (once), texts (repeatable), a number, or nothing. `envvar` is the environment
    variable that stands for it. `default` holds where the user says nothing; `default_words` is what the help says.
    """

    flag: str
    help: str
    metavar: str = ""
    kind: Literal["text", "texts", "number", "flag"] = "text"
    default: str | None = None
    default_words: str = ""
    envvar: str = ""

    @property
    def name(self) -> str:
        """The name of its value in Python: `case_file`."""
        return self.flag.removeprefix("--").replace("-", "_")


_KIND = "auto|pretrained|hub|standin|FILE"

RUN_OPTIONS = (
    RunOption(
        "--case",
        "check this case only, or all; repeatable",
        "ID",
        "texts",
        default_words="deit_base, digits, and those of --case-file",
    ),
    RunOption(
        "--case-file", f"a TOML file with cases of yours, besides those that {OWN} names; repeatable", "FILE", "texts"
    ),
    RunOption(
        "--engine",
        f"check this engine only: {', '.join(ENGINES)}; repeatable",
        "NAME",
        "texts",
        default_words="all that the build supports",
    ),
    RunOption(
        "--successors",
        "check the successors of TorchScript too (as the engine none): torch.export, AOTInductor, ExecuTorch, "
        "ONNX Runtime, as far as their packages are installed",
        kind="flag",
    ),
    RunOption(
        "--claim",
        "run only the tests of this claim (build) or row (build[digits-qnnpack-optimized]); repeatable",
        "ID",
        "texts",
    ),
    RunOption(
        "--shard", "check part K of N of the conformance tests; `vitgate merge` puts the parts' records together", "K/N"
    ),
    RunOption(
        "--weights",
        "where the weights come from. auto: the published checkpoint if it is cached or can be downloaded, otherwise "
        "the generated stand-in; "
        "pretrained: the checkpoint or exit status 6; hub: as the authors' own repository loads it, which runs "
        "its code; FILE: a .pth or .safetensors of yours",
        _KIND,
        default="auto",
        default_words="auto",
    ),
    RunOption(
        "--assets",
        "folder that holds the reference picture image.png",
        "DIR",
        envvar="VITGATE_ASSETS",
        default_words="the environment variable VITGATE_ASSETS",
    ),
    RunOption(
        "--processor",
        f"hold all kernels to the instructions of this processor: {', '.join(PROCESSORS)}",
        "NAME",
        default=HOST,
        default_words=f"{HOST}, the machine's own",
    ),
    RunOption(
        "--processors",
        "run the int8 files on each lower processor too that this machine can be held to. all: by variables; valgrind: "
        "those of ONNX Runtime and XNNPACK under valgrind too, which takes minutes",
        "all|valgrind",
    ),
    RunOption(
        "--no-latency", "leave out what measures time, the claims latency and table, as --processor does", kind="flag"
    ),
    RunOption("--artifact-cache", "keep built artifacts here between runs", "DIR", default_words="a temporary folder"),
    RunOption(
        "--field",
        "a folder of files of yours, which are run too: .pt, .ptl, .pt2, .pte, .onnx; repeatable",
        "DIR",
        "texts",
    ),
    RunOption(
        "--allow-code",
        "run AOTInductor packages that were made elsewhere: they are machine code, and do whatever their maker wants",
        kind="flag",
    ),
    RunOption(
        "--images",
        "labelled pictures of yours, DIR/<class>/<picture>: accuracy, agreement and calibration of every variant",
        "DIR",
    ),
    RunOption(
        "--images-accuracy",
        "fail where the accuracy over --images is lower than this, from 0 to 1, by more than chance",
        "SHARE",
        "number",
    ),
    RunOption(
        "--export",
        "write what this run built, with inputs and logits, into this folder, for another PyTorch's --field",
        "DIR",
    ),
    RunOption("--export-packed", "put the exported files into one archive", kind="flag"),
    RunOption(
        "--record",
        "write the run's record here",
        "FILE",
        default="vitgate-record.json",
        default_words="vitgate-record.json",
    ),
    RunOption("--report", "write the run's report here, one HTML page that needs nothing else", "FILE"),
)
