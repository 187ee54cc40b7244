"""The step `measure` of `make_head.py`: features and logits of one torch, in float32 and under every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from head_case import Array, ENGINES, FIXTURES, Model

from vitgate.files.errors import UsageError
from vitgate.inputs import standin
from vitgate.inputs.huggingface_names import from_timm
from vitgate.inputs.preprocess import preprocess
from vitgate.pipeline.stages import create_model
from vitgate.spec.cases import case_named


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
