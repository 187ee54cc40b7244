"""The Vision Transformer of transformers, built from its configuration alone: nothing is downloaded, no name looked up.

transformers is an optional extra and is imported only where a case needs it.
"""

from __future__ import annotations

import torch
from torch import nn

from vitgate.files.errors import MachineError
from vitgate.files.text import reason
from vitgate.inputs.huggingface_names import published
from vitgate.spec.cases import Case, LIBRARY_ADVICE
from vitgate.spec.versions import packages

_PREFIX = "model."


class Logits(nn.Module):
    """A classifier of transformers as a function of the picture alone, which is what can be traced."""

    def __init__(self, model: nn.Module) -> None:
        """Wrap the model; its parameters are found under `model.`."""
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn pictures, float32 [N, C, H, W], into logits, float32 [N, classes]."""
        logits: torch.Tensor = self.model(x, return_dict=False)[0]
        return logits


def classifier(case: Case) -> Logits:
    """Build the case's model with random weights; MachineError if transformers does not work here."""
    try:
        from transformers import logging, ViTConfig, ViTForImageClassification

        logging.set_verbosity_error()  # its remarks on the configuration are not the user's
        return Logits(ViTForImageClassification(ViTConfig(**case.arguments)))
    except (ImportError, RuntimeError, OSError, AttributeError) as error:  # as where it does not fit this torch
        versions = f"transformers {packages().get('transformers', 'missing')}, torch {torch.__version__}"
        what = f"transformers cannot build the model: {reason(error)}"
        raise MachineError(what, where=versions, do=LIBRARY_ADVICE) from None


def stored_names(model: nn.Module) -> dict[str, str]:
    """Return, for each name in the state of a `classifier`, the one under which weights are kept."""
    return {name: published(name.removeprefix(_PREFIX)) for name in model.state_dict()}
