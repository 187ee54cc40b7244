"""The tutorial's steps as one plain script, start to table: what the suite's own run time is measured against.

    python benchmarks/tutorial.py ENGINE PICTURE FOLDER

Weights are timm's random ones (the time to download a checkpoint is not compared). Where the mobile optimizer fails,
the script goes on without it, as its users would, and shows the rest of the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import timm
import torch
from PIL import Image
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch.utils.mobile_optimizer import optimize_for_mobile
from torchvision import transforms


def main(engine: str, picture: str, folder: Path) -> None:
    """Build the five variants, save them, time one call of each with the profiler, print the table."""
    model = timm.create_model("deit_base_patch16_224").eval()
    transform = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
        ]
    )
    x = transform(Image.open(picture).convert("RGB"))[None]
    print(model(x).argmax().item())
    scripted = torch.jit.script(model)
    scripted.save(str(folder / "fbdeit_scripted.pt"))
    model.qconfig = torch.quantization.get_default_qconfig(engine)
    torch.backends.quantized.engine = engine
    quantized = torch.quantization.quantize_dynamic(model, qconfig_spec={torch.nn.Linear}, dtype=torch.qint8)
    scripted_quantized = torch.jit.script(quantized)
    scripted_quantized.save(str(folder / "fbdeit_scripted_quantized.pt"))
    print(scripted_quantized(x).argmax().item())
    variants = {"original": model, "scripted": scripted, "scripted & quantized": scripted_quantized}
    try:
        optimized = optimize_for_mobile(scripted_quantized)
        optimized.save(str(folder / "fbdeit_optimized_scripted_quantized.pt"))
        print(optimized(x).argmax().item())
        lite = folder / "fbdeit_optimized_scripted_quantized_lite.ptl"
        optimized._save_for_lite_interpreter(str(lite))
        variants |= {"optimized": optimized, "lite": torch.jit.load(str(lite))}
    except RuntimeError as error:
        print(str(error).splitlines()[0])
    times = {name: profiled_ms(variant, x) for name, variant in variants.items()}
    table = pd.DataFrame({"Inference Time": times})
    table["Reduction"] = 1 - table["Inference Time"] / times["original"]
    print(table)


def profiled_ms(module: torch.nn.Module, x: torch.Tensor) -> float:
    """Return the profiler's self CPU time of one call in milliseconds."""
    with torch.autograd.profiler.profile() as profile:
        module(x)
    return float(profile.self_cpu_time_total) / 1000


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
