"""Make the head of a stand-in DeiT: labels for the pictures, with margins a few times the int8 error.

A label proves little where its margin is a hundred times the noise. So every picture gets rivals: classes whose logit
lies MARGIN below the picture's own, and whose rows differ from the prototype's in one direction in which int8 errs.

    row of the class of picture k     p_k = TOP · g_k               g_j: dual of the features, f_i · g_j = (i == j)
    row of a rival of picture k       r = (TOP − MARGIN) · g_k − b · u    u: a unit vector orthogonal to all features

The margin is then MARGIN in float32, and its int8 error b · (u · e), e being the error of the features. Two kinds of u:

* `chance`: the generator's own row of that class. Over many rivals these see noise of any direction. b is such that
  MARGIN = CHANCE × the RMS error under the noisiest engine.
* `steady`: against the mean error of the picture over versions, one for the engines whose activations have 7 bits and
  one for qnnpack's 8. About two thirds of the error's energy is this mean (the rest is chaotic between releases), so
  that one rival tells 1× (about half of MARGIN) from 3×.

The steps (the first in every environment that is to count, each with its torch):

    python scripts/make_head.py deit_tiny measure --reference image.png OUT.npz
    python scripts/make_head.py deit_tiny build OUT.npz ...    writes fixtures/heads/deit_tiny.safetensors
    python scripts/make_head.py deit_tiny measure ...          again: now with the logits of the new head
    python scripts/make_head.py deit_tiny report OUT.npz ...   writes fixtures/heads/deit_tiny.toml, prints figures

The tutorial's own picture (`--reference`) is not committed; `wolf_sketch.png` takes its place where it cannot be had.
Both have the label 269. A case with a reference picture of its own is measured without `--reference`, and has that
one's sketch in the wolf's place. The logits of a distilled DeiT are the mean of two heads, which get the same rows; its
features here are the mean of both tokens. DeiT-Base's head was made with torch 1.13.1, 2.12.1 and 2.15.0, the others'
with the last two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vitgate.files.errors import status_of, UsageError
from vitgate.inputs import standin
from vitgate.inputs.huggingface_names import from_timm
from vitgate.inputs.preprocess import preprocess
from vitgate.pipeline.stages import create_model
from vitgate.spec.cases import case_named

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FIXTURES = Path(__file__).parents[1] / "fixtures"
WIDTHS = {"tiny": 192, "small": 384, "base": 768}
ENGINES = ("fbgemm", "x86", "onednn", "qnnpack")
WOLF = 269
PICTURES = {
    "wolf_sketch": (WOLF, "timber wolf"),
    "balloon": (417, "balloon"),
    "lighthouse": (437, "beacon, lighthouse"),
    "wall_clock": (892, "wall clock"),
    "traffic_light": (920, "traffic light"),
    "mushroom": (947, "mushroom"),
    "umbrella": (879, "umbrella"),
    "basketball": (430, "basketball"),
    "ladybug": (301, "ladybug"),
    "pizza": (963, "pizza"),
    "daisy": (985, "daisy"),
    "volcano": (980, "volcano"),
    "candle": (470, "candle"),
}
SOCCER_BALL = {"soccer_ball": (805, "soccer ball")}

TOP = 4.0  # the logit of a picture's own class; generated rows have a deviation of 0.8, their largest is about 2.7
MARGIN = 0.2
CHANCE = 5.0
RIVALS = 6  # chance rivals of each label
STEADY = 0.52  # of the margin: the largest error that the features may make; the rounding of the head adds up to 0.1
FAMILIES = ((0, 1, 2), (3,))  # engines whose errors agree: activations of 7 bits (reduced range), and of 8 (qnnpack)
NOISE = 3.0  # the factor that must lose a label


class Model(NamedTuple):
    """Whose head is made: timm's name, and what `standin.vit_shapes` needs to know."""

    case: str
    name: str
    shapes: dict[str, int]
    pictures: dict[str, tuple[int, str]]
    has_reference: bool  # the tutorial's own picture

    @property
    def labels(self) -> NDArray[np.int64]:
        """The pictures' labels [P]; the reference comes last."""
        return np.array([*(label for label, _ in self.pictures.values()), *([WOLF] if self.has_reference else [])])

    @property
    def head(self) -> Path:
        """The committed rows."""
        return FIXTURES / "heads" / f"{self.case}.safetensors"

    @property
    def table(self) -> Path:
        """The description beside them."""
        return FIXTURES / "heads" / f"{self.case}.toml"

    def state(self, *, plain: bool = False) -> dict[str, NDArray[np.float32]]:
        """Return the stand-in weights; `plain` ones have generated rows only."""
        return standin.generate(
            standin.vit_shapes(**self.shapes), None if plain or not self.head.exists() else self.head
        )


def model_of(name: str) -> Model:
    """Return the DeiT of that case."""
    case = case_named(name)
    width = next((width for size, width in WIDTHS.items() if f"_{size}_" in f"{case.id}_{case.model}"), None)
    if width is None:
        raise UsageError("a head is made for a DeiT alone", where=name, do="name a case such as deit_tiny")
    shapes = {"embed_dim": width, "depth": 12, "patch": 16, "image": case.input[-1], "classes": 1000}
    shapes |= {"distilled": True} if "distilled" in case.model else {}
    others = {name: about for name, about in PICTURES.items() if name != "wolf_sketch"}
    pictures = SOCCER_BALL | others if case.reference else PICTURES
    return Model(name, case.model, shapes, pictures, case.reference is None)


# -- measure ----------------------------------------------------------------------------------------------------------


def measure(of: Model, reference: Path | None, out: Path) -> None:
    """Save the float32 features [P, D] and logits [P, C], and under every engine both after int8 [E, P, ...]."""
    import torch

    if (reference is not None) != of.has_reference:
        do = "give it for the cases that the tutorial's picture is shown to, and for no other"
        raise UsageError("--reference does not go with this case", where=of.case, do=do)
    case, state = case_named(of.case), of.state()
    print(torch.__version__, "numpy", np.__version__, "sha256", standin.digest(state))
    kept = from_timm(state) if case.library == "transformers" else state
    model = create_model(case, {name: torch.from_numpy(value.copy()) for name, value in kept.items()})
    paths = [*embedded(of), *([reference] if reference else [])]
    batch = [preprocess(path, of.shapes["image"], way=case.preprocessing) for path in paths]
    features, logits = _run(model, batch)
    noisy = []
    for engine in ENGINES:
        torch.backends.quantized.engine = engine
        noisy.append(_run(torch.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8), batch))
    np.savez(
        out,
        version=torch.__version__.split("+")[0],
        features=features,
        logits=logits,
        noisy_features=[f for f, _ in noisy],
        noisy_logits=[y for _, y in noisy],
    )


def embedded(of: Model) -> list[Path]:
    """Return the committed pictures."""
    return [FIXTURES / "images" / f"{name}.png" for name in of.pictures]


def _run(model: Any, batch: list[Any]) -> tuple[Array, Array]:
    import torch

    with torch.no_grad():
        features = [_features(model, picture) for picture in batch]
        logits = [model(picture) for picture in batch]
    return torch.cat(features).numpy(), torch.cat(logits).numpy()


def _features(model: Any, picture: Any) -> Any:
    if hasattr(model, "forward_features"):
        return model.forward_head(model.forward_features(picture), pre_logits=True)
    return model.model.vit(picture, return_dict=False)[0][:, 0]  # transformers: the class token, normed


# -- build ------------------------------------------------------------------------------------------------------------


class Measured(NamedTuple):
    """What `measure` found, by version; V versions, E engines, P pictures, the reference last."""

    labels: NDArray[np.int64]  # [P]

    versions: list[str]
    features: Array  # [P, D], of the last version: they agree to 1e-5
    duals: Array  # [P, D]: features @ duals.T is the identity
    errors: Array  # [V, E, P, D]
    logits: Array  # [V, P, C]
    noisy: Array  # [V, E, P, C]


def read(of: Model, files: Sequence[Path]) -> Measured:
    """Read and stack the files of `measure`."""
    try:
        runs = [np.load(file) for file in files]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read what was measured: {error}", where=files[0].parent, do="measure again") from None
    errors = [run["noisy_features"].astype(float) - run["features"] for run in runs]
    features = runs[-1]["features"].astype(float)
    logits, noisy = (np.array([run[name] for run in runs], float) for name in ("logits", "noisy_logits"))
    versions = [str(run["version"]) for run in runs]
    return Measured(of.labels, versions, features, np.linalg.pinv(features).T, np.array(errors), logits, noisy)


def build(of: Model, files: Sequence[Path]) -> None:
    """Write the head: classes int32 [N], weight float16 [N, D], bias float32 [N]."""
    found = read(of, files)
    plain = of.state(plain=True)
    bias = plain["head.bias"].astype(float)
    free = set(range(1000)) - set(found.labels.tolist())
    rows: dict[int, Array] = {}
    for label in dict.fromkeys(found.labels.tolist()):
        mine = found.labels == label
        prototype = found.duals[mine].sum(axis=0)
        offsets = _steady_rivals(found, mine, label, free) | _chance_rivals(
            found, mine, label, free, plain["head.weight"]
        )
        free -= set(offsets)
        rows[label] = (TOP - bias[label]) * prototype
        rows |= {c: (TOP - MARGIN - bias[c]) * prototype - offset for c, offset in offsets.items()}
    order = sorted(rows)
    weight = np.array([rows[c] for c in order]).astype(np.float16)
    save_file({"classes": np.array(order, np.int32), "weight": weight, "bias": plain["head.bias"][order]}, of.head)
    print(f"{of.head.name}: {len(order)} rows, {of.head.stat().st_size} bytes")


def _nearest(label: int, free: set[int]) -> list[int]:
    return sorted(free, key=lambda c: (abs(c - label), -c))


def _steady_rivals(found: Measured, mine: Mask, label: int, free: set[int]) -> dict[int, Array]:
    kinds = [(picture, family) for picture in np.flatnonzero(mine).tolist() for family in FAMILIES]
    return {
        c: steady(found, picture, family) for c, (picture, family) in zip(_nearest(label, free), kinds, strict=False)
    }


def steady(found: Measured, picture: int, family: Sequence[int]) -> Array:
    """Return b · u [D] for the mean error of one picture in one family of engines."""
    u = _orthogonal(-found.errors[:, family, picture].mean(axis=(0, 1)), found)
    worst = np.abs(found.errors[:, :, found.labels == found.labels[picture]] @ u).max()
    return u * float(MARGIN * STEADY / worst)


def _chance_rivals(
    found: Measured, mine: Mask, label: int, free: set[int], plain: NDArray[np.float32]
) -> dict[int, Array]:
    """Take the nearest free classes whose measured errors keep the reserve (with C = 5 nearly all do)."""
    spread = np.sqrt((found.errors[:, :, mine] ** 2).mean(axis=(0, 3))).max()  # the noisiest engine and picture
    chosen: dict[int, Array] = {}
    for c in _nearest(label, free)[len(FAMILIES) * int(mine.sum()) :]:
        offset = MARGIN / (CHANCE * spread) * _orthogonal(plain[c].astype(float), found)
        if np.abs(found.errors[:, :, mine] @ offset).max() <= STEADY * MARGIN:
            chosen[c] = offset
        if len(chosen) == RIVALS:
            break
    return chosen


def _orthogonal(vector: Array, found: Measured) -> Array:
    rest = vector - (found.features @ vector) @ found.duals
    return rest / np.linalg.norm(rest)


# -- report -----------------------------------------------------------------------------------------------------------


def report(of: Model, files: Sequence[Path]) -> None:
    """Print what the head reaches on the measured engines and in simulation, and write its description."""
    found = read(of, files)
    _print_cells(found)
    ratios = [margin_errors(found, picture) / margins(found)[:, picture].min() for picture in range(len(found.labels))]
    names = [*of.pictures, "reference"][: len(found.labels)]
    print("\npicture: float32 margin, worst |int8 error| and worst harmful one, of the margin")
    for picture, name in enumerate(names):
        worst = ratios[picture]
        print(f"  {name:14} {margins(found)[-1, picture]:.4f}  {np.abs(worst).max():.2f}  {worst.max():.2f}")
    _print_unseen(found)
    _simulate(of, found, ratios)
    _write_table(of, margins(found)[-1])


def margins(found: Measured) -> Array:
    """Return top-1 minus top-2 [V, P] in float32; the label must be top-1."""
    if not (found.logits.argmax(axis=-1) == found.labels).all():
        raise UsageError("a label is lost in float32", where="head", do="build the head from these files first")
    ranked = np.sort(found.logits, axis=-1)
    return ranked[..., -1] - ranked[..., -2]


def rivals_of(found: Measured, picture: int) -> NDArray[np.int64]:
    """Return the classes [R] whose float32 logit was put MARGIN below the label's."""
    return np.flatnonzero(np.abs(found.logits[-1, picture] - (TOP - MARGIN)) < MARGIN / 10)


def margin_errors(found: Measured, picture: int) -> Array:
    """Return how far int8 brings each rival towards the label [V, E, R]; negative is away from it."""
    rivals = rivals_of(found, picture)
    change = found.noisy[:, :, picture] - found.logits[:, None, picture]
    return change[..., rivals] - change[..., [found.labels[picture]]]


def _print_cells(found: Measured) -> None:
    print("version engine: logits' SQNR dB; labels right; lost at multiples of the error; |feature error| / |feature|")
    for v, version in enumerate(found.versions):
        clean = found.logits[v]
        for e, engine in enumerate(ENGINES):
            change = found.noisy[v, e] - clean
            sqnr = 10 * np.log10((clean**2).sum(axis=-1) / (change**2).sum(axis=-1))
            right = (found.noisy[v, e].argmax(axis=-1) == found.labels).sum()
            lost = {k: int(((clean + k * change).argmax(axis=-1) != found.labels).sum()) for k in (1.5, 2, NOISE)}
            relative = np.linalg.norm(found.errors[v, e], axis=-1) / np.linalg.norm(found.features, axis=-1)
            span = f"{sqnr.min():.1f} to {sqnr.max():.1f}"
            print(f"  {version:8}{engine:8} {span}; {right}/{len(found.labels)}; {lost}; {relative.mean():.3f}")
    print(f"logits' standard deviation {found.logits.std(axis=-1).min():.2f} to {found.logits.std(axis=-1).max():.2f}")


def _print_unseen(found: Measured) -> None:
    """Leave one version out, make the steady rivals from the others, and see how the one left out moves along them."""
    low, high = np.inf, 0.0
    for v in range(len(found.versions)):
        others = found._replace(errors=np.delete(found.errors, v, axis=0))
        for picture in range(len(found.labels)):
            for family in FAMILIES:
                along = -(found.errors[v, :, picture] @ steady(others, picture, family)) / MARGIN
                low, high = min(low, float(along[list(family)].min())), max(high, float(along.max()))
    print(f"steady rivals and a version that they were not made from: {low:.2f} to {high:.2f} of the margin")


def _simulate(of: Model, found: Measured, ratios: Sequence[Array], draws: int = 100000) -> None:
    """Print the chance that int8 loses a label, from the errors of the logits (the head's own rounding is in them).

    `as measured`: every rival's mean over the versions and engines of a family, plus Gaussian scatter of the size found
    for rivals of that kind (chance, steady). `any direction`: as though nothing were steady, chance rivals only, with
    Gaussian errors of their RMS; so acts a fault whose noise has nothing to do with the usual one.
    """
    rng = np.random.default_rng(0)
    print(
        "\nsimulated probability of a lost label in the whole set (largest for one picture), at multiples of the error"
    )
    for e, engine in enumerate(ENGINES):
        family = next(list(f) for f in FAMILIES if e in f)
        for kind in (_as_measured, _any_direction):
            worst = []
            for picture, ratio in enumerate(ratios):
                samples = ratio[:, family].reshape(-1, ratio.shape[-1])
                worst.append(kind(rng, samples, is_chance(of, found, picture), draws))
            text = []
            for factor in (1.0, 1.5, 2.0, NOISE):
                lost = np.array([factor * w > 1 for w in worst])
                text.append(f"{factor:.1f}x {lost.any(axis=0).mean():.5f} ({lost.mean(axis=1).max():.5f})")
            print(f"  {engine:8} {kind.__name__.strip('_'):14} {'  '.join(text)}")


def is_chance(of: Model, found: Measured, picture: int) -> Mask:
    """Return which rivals [R] of a picture are of the chance kind: their b is several times that of the steady ones."""
    classes, weight, _ = standin.read_head(of.head)
    rows = weight[np.searchsorted(classes, rivals_of(found, picture))].astype(float)
    norms = np.linalg.norm(rows - (rows @ found.features.T) @ found.duals, axis=1)
    return np.isin(np.arange(len(norms)), np.argsort(norms)[-RIVALS:])


def _as_measured(rng: np.random.Generator, samples: Array, chance: Mask, draws: int) -> Array:
    """Return the largest error among the rivals in each draw [draws]; samples [N, R] are in units of the margin."""
    mean = samples.mean(axis=0)
    scatter = ((samples - mean) ** 2).sum(axis=0) / max(len(samples) - 1, 1)
    size = np.sqrt(np.where(chance, scatter[chance].mean(), scatter[~chance].mean()))
    worst: Array = (mean + rng.standard_normal((draws, len(mean))) * size).max(axis=1)
    return worst


def _any_direction(rng: np.random.Generator, samples: Array, chance: Mask, draws: int) -> Array:
    """The same for errors without a steady part."""
    size = np.sqrt((samples[:, chance] ** 2).mean())
    worst: Array = (rng.standard_normal((draws, int(chance.sum()))) * size).max(axis=1)
    return worst


def _write_table(of: Model, margin: Array) -> None:
    shapes = ", ".join(f"{name} = {json.dumps(value)}" for name, value in of.shapes.items())
    lines = [
        f"# The stand-in for {of.name}: what its bytes must be, and the project's own labelled pictures.",
        "# Written by scripts/make_head.py; `sha256` of all parameters is vitgate.inputs.standin.digest's.",
        "# `margin` is top-1 minus top-2 of the float32 logits.",
        "",
        f'model = "{of.name}"',
        f"generator = {standin.GENERATOR}",
        f"shapes = {{ {shapes} }}",
        f'head = "{of.head.relative_to(FIXTURES).as_posix()}"',
        f'sha256 = "{standin.digest(of.state())}"',
        "# Where the tutorial's own picture cannot be had; both have the label 269."
        if of.has_reference
        else "# Where the user has given no picture of the reference's label.",
        f'fallback_reference = "images/{next(iter(of.pictures))}.png"',
    ]
    for (name, (label, title)), value in zip(of.pictures.items(), margin, strict=False):
        sha256 = hashlib.sha256((FIXTURES / "images" / f"{name}.png").read_bytes()).hexdigest()
        lines += [
            "",
            "[[picture]]",
            f'file = "images/{name}.png"',
            f"label = {label}",
            f'name = "{title}"',
            f'sha256 = "{sha256}"',
            f"margin = {value:.4f}",
        ]
    of.table.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=model_of, help="deit_tiny")
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("measure")
    first.add_argument("--reference", type=Path)
    first.add_argument("out", type=Path)
    for name in ("build", "report"):
        commands.add_parser(name).add_argument("files", type=Path, nargs="+")
    chosen = parser.parse_args()
    if chosen.command == "measure":
        measure(chosen.case, chosen.reference, chosen.out)
    else:
        {"build": build, "report": report}[chosen.command](chosen.case, chosen.files)


if __name__ == "__main__":
    sys.exit(status_of(main))
