"""What is said of a file that holds a class which unpickling does not know."""

from __future__ import annotations

import pytest

from vitgate.observe.runtimes import unknown_class


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("no_such_package.Tensor", "install no_such_package, or do not run it"),
        ("torch.NoSuchTensor", "run it with the torch that made it"),
    ],
)
def test_unknown_class_names_remedy(name: str, advice: str) -> None:
    assert unknown_class(name).startswith(f"it holds {name}")
    assert advice in unknown_class(name)
