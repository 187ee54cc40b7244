"""The process that runs a hub repository's own code, apart from the suite's; started by `vitgate.inputs.hub` as a file.

python hub_worker.py FOLDER ENTRY OUT.safetensors
"""

from __future__ import annotations

import sys

import torch
from safetensors.torch import save_file


def main(folder: str, entry: str, out: str) -> None:
    """Load the model with its published weights and write its state, names, shapes and dtypes as they are.

    Args:
        folder: The repository's files.
        entry: The model's entry in its `hubconf.py`.
        out: The safetensors file to write.
    """
    model = torch.hub.load(folder, entry, source="local", pretrained=True)  # type: ignore[no-untyped-call]  # in torch
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
