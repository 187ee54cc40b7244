"""Measure what int8 does to the digits case under the installed PyTorch, and print it as TOML.

    python scripts/measure_digits.py >> fixtures/digits/measured.toml

One `[[run]]` for each engine. `right`: held-out pictures labelled rightly; `broken` and `mended`: those that fp32 has
right and int8 wrong, and the reverse (the discordant pairs of McNemar's test); `agree`: equal labels; SQNR in dB over
all logits of the held-out part against eager fp32, with one picture a call and with all in one call (a dynamically
quantized layer has one scale a call, so the two differ). For each further variant: the largest logit difference from
the module that it was made of, or the error in the way.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn, Tensor
from torch.jit.mobile import _load_for_lite_interpreter
from torch.utils.mobile_optimizer import optimize_for_mobile

from vitgate.inputs.preprocess import digits_tensor, read_labelled
from vitgate.spec.cases import case_named

FOLDER = Path(__file__).parents[1] / "fixtures" / "digits"
Call = Callable[[Tensor], Tensor]


def one_by_one(model: Call, x: Tensor) -> Tensor:
    """Return logits [N, 10] of calls with one picture each."""
    return torch.cat([model(x[i : i + 1]) for i in range(len(x))])


def sqnr(reference: Tensor, value: Tensor) -> float:
    """Return the signal-to-quantization-noise ratio in dB over all elements."""
    noise = (reference.double() - value.double()).square().sum()
    return float(10 * torch.log10(reference.double().square().sum() / noise))


def int8(model: nn.Module, engine: str) -> nn.Module:
    """Quantize and script as the tutorial does."""
    torch.backends.quantized.engine = engine
    quantized = torch.quantization.quantize_dynamic(model, qconfig_spec={nn.Linear}, dtype=torch.qint8)
    return torch.jit.script(quantized)


def lite(module: torch.jit.ScriptModule, folder: str) -> Call:
    """Save with bytecode and load with the lite interpreter."""
    path = str(Path(folder) / "model.ptl")
    module._save_for_lite_interpreter(path)
    return _load_for_lite_interpreter(path)


def difference(make: Callable[[], Call], x: Tensor, parent: Tensor) -> float | str:
    """Return the largest absolute logit difference from the parent, or the error's first line."""
    try:
        return float((one_by_one(make(), x) - parent).abs().max())
    except (RuntimeError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:100]}"


def measure(model: nn.Module, engine: str, x: Tensor, y: Tensor) -> dict[str, object]:
    """Return one row."""
    scripted = int8(model, engine)
    fp32, single, batched = one_by_one(model, x), one_by_one(scripted, x), scripted(x)
    right, right32 = single.argmax(1) == y, fp32.argmax(1) == y
    with tempfile.TemporaryDirectory() as folder:
        frozen = torch.jit.freeze(scripted)
        variants = {
            "optimized": difference(lambda: optimize_for_mobile(scripted), x, single),
            "lite": difference(lambda: lite(optimize_for_mobile(scripted), folder), x, single),
            "frozen": difference(lambda: frozen, x, single),
            "lite_frozen": difference(lambda: lite(frozen, folder), x, single),
        }
    margin = fp32.topk(2, dim=1).values
    return {
        "torch": torch.__version__.partition("+")[0],
        "timm": timm.__version__,
        "engine": engine,
        "pictures": len(y),
        "right_fp32": int(right32.sum()),
        "right": int(right.sum()),
        "right_batched": int((batched.argmax(1) == y).sum()),
        "broken": int((right32 & ~right).sum()),
        "mended": int((~right32 & right).sum()),
        "agree": int((single.argmax(1) == fp32.argmax(1)).sum()),
        "agree_batched": int((batched.argmax(1) == fp32.argmax(1)).sum()),
        "sqnr_db": round(sqnr(fp32, single), 2),
        "sqnr_worst_picture_db": round(min(map(sqnr, fp32, single)), 2),
        "sqnr_batched_db": round(sqnr(fp32, batched), 2),
        "smallest_margin_fp32": round(float((margin[:, 0] - margin[:, 1]).min()), 4),
        "largest_difference": round(float((fp32 - single).abs().max()), 4),
        **variants,
    }


@torch.no_grad()
def main() -> None:
    """Print a row for each supported engine."""
    parser = argparse.ArgumentParser(description="measure the digits case and print TOML")
    engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    parser.add_argument("--engine", action="append", choices=engines, help="only this engine (may be repeated)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # deprecations of TorchScript and of torch.quantization: known, and not the point
    heldout = read_labelled(FOLDER / "heldout.npz")
    model = VisionTransformer(**case_named("digits").arguments).eval()
    model.load_state_dict(load_file(str(FOLDER / "weights.safetensors")))
    x, y = digits_tensor(heldout.images), torch.from_numpy(heldout.labels.astype("int64"))
    for engine in options.engine or engines:
        row = measure(model, engine, x, y)
        print("[[run]]", *(f"{key} = {value!r}" for key, value in row.items()), sep="\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
