"""Train the digits case: a small ViT on real scans, so that accuracy claims can be judged without a download.

    python scripts/train_digits.py              writes fixtures/digits/weights.safetensors, heldout.npz, README.md
    python scripts/train_digits.py --validate   trains without 200 pictures of the training part, prints their accuracy

The architecture is that of case `digits` in `fixtures/cases.toml`. The data are scikit-learn's handwritten digits. The
held-out part takes no part in training, and no setting below was chosen by it: `--validate` is there for choosing. The
last weights are saved, whatever their accuracy. Two runs on one machine write the same bytes; another CPU or release of
PyTorch may round differently, so the committed weights are the reference, not this script's output.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from timm.layers import set_fused_attn
from timm.models.vision_transformer import VisionTransformer
from torch import nn, Tensor
from torch.nn import functional as F

from vitgate.inputs.preprocess import digits_tensor
from vitgate.spec.cases import case_named

HELDOUT = 400  # pictures, stratified by label
VALIDATION = 200  # pictures of the training part, only under --validate
SPLIT_SEED, TRAIN_SEED = 20240229, 7
EPOCHS, BATCH, WARMUP_EPOCHS = 120, 32, 5
LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 2e-3, 0.05, 0.1
TURN, SCALE, SHIFT, NOISE = 0.12, 0.1, 0.125, 0.05  # radians, part, half pictures (half a pixel), of -1 to 1

README = """\
# Handwritten digits

`heldout.npz` holds {heldout} of the 1,797 scans of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0) in the form that
scikit-learn bundles: `images` uint8 [N, 8, 8] with values 0 to 16, `labels` uint8 [N]. `weights.safetensors` is the ViT
of case `digits` ({parameters:,} parameters, float32), trained on the other {trained:,} by `scripts/train_digits.py`,
which remakes all three files (needs the `train` extra; last run with torch {torch}, timm {timm}).

Measured: {right} of {heldout} held-out pictures right ({accuracy:.2%}), fp32, one by one.
"""


def split(images: np.ndarray, labels: np.ndarray, size: int) -> list[np.ndarray]:
    """Return images and labels of the rest and of a stratified part of `size`: rest, part, rest's, part's labels."""
    parts: list[np.ndarray] = train_test_split(images, labels, test_size=size, stratify=labels, random_state=SPLIT_SEED)
    return parts


def augment(batch: Tensor, rng: torch.Generator) -> Tensor:
    """Turn, scale, shift and speckle each picture a little; float32 [N, 1, 8, 8] to the same."""
    wobble = torch.rand(len(batch), 5, generator=rng) * 2 - 1
    angle, size, shift = TURN * wobble[:, 0], 1 + SCALE * wobble[:, 1:3], SHIFT * wobble[:, 3:5]
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos * size[:, 0], -sin, shift[:, 0]], 1), torch.stack([sin, cos * size[:, 1], shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
    moved = F.grid_sample(batch + 1, grid, align_corners=False) - 1  # empty paper is -1, padding 0
    return moved + NOISE * torch.randn(batch.shape, generator=rng)


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Return the factor on the learning rate: a linear rise, then a cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    """Fit the model in place; x float32 [N, 1, 8, 8], y int64 [N]."""
    rng = torch.Generator().manual_seed(TRAIN_SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    per_epoch = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, epochs * per_epoch, WARMUP_EPOCHS * per_epoch)
    )
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(x), generator=rng)
        for i in range(per_epoch):
            rows = order[i * BATCH : (i + 1) * BATCH]
            loss = F.cross_entropy(model(augment(x[rows], rng)), y[rows], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 50 == 49:
            print(f"epoch {epoch + 1}: loss {loss.item():.4f}", flush=True)
    model.eval()


@torch.inference_mode()
def right_answers(model: nn.Module, x: Tensor, y: Tensor) -> int:
    """Count right labels, one picture a call."""
    return sum(int(model(x[i : i + 1]).argmax() == y[i]) for i in range(len(x)))


def fit(images: np.ndarray, labels: np.ndarray, epochs: int) -> nn.Module:
    """Return a model trained from the fixed seed."""
    torch.manual_seed(TRAIN_SEED)
    set_fused_attn(False)  # faster for 17 tokens; the weights do not know the difference
    model = VisionTransformer(**case_named("digits").arguments)
    train(model, digits_tensor(images), torch.from_numpy(labels.astype(np.int64)), epochs)
    return model


def main() -> None:
    """Split, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--validate", action="store_true", help="choose settings: train without a validation part")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "fixtures" / "digits")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    bunch = load_digits()
    train_x, test_x, train_y, test_y = split(bunch.images.astype(np.uint8), bunch.target.astype(np.uint8), HELDOUT)
    if options.validate:
        train_x, test_x, train_y, test_y = split(train_x, train_y, VALIDATION)
    start = time.thread_time()
    model = fit(train_x, train_y, options.epochs)
    right = right_answers(model, digits_tensor(test_x), torch.from_numpy(test_y))
    seconds = time.thread_time() - start
    print(f"{right} of {len(test_y)} right, trained on {len(train_y)}, {seconds:.0f} s of CPU time")
    if options.validate:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), str(options.out / "weights.safetensors"))
    np.savez_compressed(options.out / "heldout.npz", images=test_x, labels=test_y)
    facts = {"torch": torch.__version__.partition("+")[0], "timm": timm.__version__}
    counts = {"heldout": len(test_y), "trained": len(train_y), "right": right, "accuracy": right / len(test_y)}
    parameters = sum(p.numel() for p in model.parameters())
    (options.out / "README.md").write_text(README.format(**facts, **counts, parameters=parameters), encoding="utf-8")


if __name__ == "__main__":
    main()
