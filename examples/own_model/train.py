"""Make `weights.safetensors` and `pictures/` of this example: python examples/own_model/train.py (two minutes)."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from shapes import build, CLASSES
from torch import nn

from vitgate.inputs.preprocess import tutorial_transform

FOLDER = Path(__file__).parent
SIDE = 72  # pixels of a drawing, which the tutorial's transform makes 36 and crops to 32
STEPS, BATCH = 700, 64


def draw(shape: str, rng: random.Random) -> Image.Image:
    """Return a dark shape of any colour, size and place on a light ground."""
    ground = [rng.randrange(190, 256) for _ in range(3)]
    ink = [rng.randrange(100) for _ in range(3)]
    picture = Image.new("RGB", (SIDE, SIDE), tuple(ground))
    size = rng.uniform(28, 48)
    left, top = rng.uniform(8, SIDE - 8 - size), rng.uniform(8, SIDE - 8 - size)
    right, bottom, middle = left + size, top + size, left + size / 2
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=tuple(ink))
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), fill=tuple(ink))
    else:
        pen.polygon([(left, bottom), (right, bottom), (middle, top)], fill=tuple(ink))
    return picture


def batch(count: int, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Return drawings, float32 [N, 3, 32, 32], and their labels, int64 [N]."""
    labels = [rng.randrange(len(CLASSES)) for _ in range(count)]
    transform = tutorial_transform(32)
    return torch.stack([transform(draw(CLASSES[label], rng)) for label in labels]), torch.tensor(labels)


def main() -> None:
    """Train, print the accuracy on new drawings, and write weights and pictures."""
    torch.manual_seed(0)
    rng, model = random.Random(0), build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        x, labels = batch(BATCH, rng)
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    x, labels = batch(500, random.Random(1))
    with torch.no_grad():
        print(f"accuracy on 500 new drawings: {(model.eval()(x).argmax(1) == labels).float().mean():.3f}")
    save_file(model.state_dict(), FOLDER / "weights.safetensors")
    rng = random.Random(2)
    for shape in CLASSES:
        for number in (1, 2):
            draw(shape, rng).save(FOLDER / "pictures" / f"{shape}_{number}.png", optimize=True)


if __name__ == "__main__":
    main()
