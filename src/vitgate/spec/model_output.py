"""What of a model's output is judged, and as what: the words of the key `output` of a user's own case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, Literal, TypeAlias

OutputKind: TypeAlias = Literal["logits", "embedding", "multilabel"]
"""How the numbers are judged: `logits` as one label a picture, `embedding` by direction and neighbours, `multilabel` as
a decision for each label, by the sign of its logit."""

WORDS = "logits, embedding, multilabel, tuple:N (as tuple:0) or dict:KEY (as dict:logits)"
"""What the key can say."""

_FORM = re.compile(r"(?P<kind>logits|embedding|multilabel)|tuple:(?P<index>\d{1,9})|dict:(?P<name>.+)")


@dataclass(frozen=True)
class ModelOutput:
    """What is judged, `kind`, and where it stands in what the model returns.

    `key` is None where the model returns that tensor alone, the index in a tuple or list, or the key in a dictionary.
    """

    kind: OutputKind = "logits"
    key: int | str | None = None

    def __str__(self) -> str:
        """Return the words of the key."""
        if self.key is None:
            return self.kind
        return f"dict:{self.key}" if isinstance(self.key, str) else f"tuple:{self.key}"

    def taken(self, returned: Any) -> Any:
        """Return the tensor that is judged of what a call of the model gave; TypeError says what that was."""
        if self.key is None and not _is_tensor(returned):
            raise TypeError(f"the model returned {described(returned)}: {_advice(returned)}")
        found = returned if self.key is None else self._element(returned)
        if not _is_tensor(found):
            raise TypeError(f"{self} is {described(found)}, no tensor, in what the model returned: {_advice(returned)}")
        return found

    def position(self, returned: Any) -> int:
        """Return how many tensors stand before the one that is judged where the output is one flat list of tensors.

        Exporters flatten a dictionary in its own order, and nested values in theirs. TypeError as from `taken`.
        """
        if self.key is None:
            return 0
        self.taken(returned)
        values = list(returned.values()) if isinstance(returned, Mapping) else list(returned)
        index = list(returned).index(self.key) if isinstance(self.key, str) else self.key
        return sum(map(_tensors, values[:index]))

    def _element(self, returned: Any) -> Any:
        assert self.key is not None
        kind: Any = Mapping if isinstance(self.key, str) else (tuple, list)
        known = isinstance(returned, kind) and (
            self.key in returned if isinstance(self.key, str) else self.key < len(returned)
        )
        if not known:
            raise TypeError(f"the model returned {described(returned)}, which has no {self}: {_advice(returned)}")
        return returned[self.key]


LOGITS = ModelOutput()
"""Of a model that returns its logits and nothing else."""


def read_output(words: str) -> ModelOutput:
    """Return what the words of the key say; ValueError names the ones that work."""
    found = _FORM.fullmatch(words)
    if found is None:
        raise ValueError(f"output {words!r} is unknown: choose from {WORDS}")
    if found["name"] is not None:
        return ModelOutput(key=found["name"])
    if found["index"] is not None:
        return ModelOutput(key=int(found["index"]))
    kinds: dict[str, OutputKind] = {kind: kind for kind in get_args(OutputKind)}
    return ModelOutput(kinds[found["kind"]])


def described(returned: Any) -> str:
    """Say in one line what a model returned: its kind, keys or length, and shapes."""
    if _is_tensor(returned):
        return f"a tensor {list(returned.shape)}"
    name = type(returned).__name__
    if isinstance(returned, Mapping):
        return f"a {name} of {_some(f'{key} {_short(value)}' for key, value in returned.items())}"
    if isinstance(returned, (tuple, list)):
        return f"a {name} of {len(returned)}: {_some(map(_short, returned))}"
    return f"a {name}"


def _advice(returned: Any) -> str:
    """Say what to write for a model that returns this."""
    if _is_tensor(returned):
        return "leave `output` out of the case"
    words = _words(returned)
    return f'name one of its tensors in the case, `output = "{words}"`' if words else "return one tensor [N, classes]"


def _words(returned: Any) -> str:
    """Return the words for the first tensor in what was returned; empty where there is none."""
    if isinstance(returned, Mapping):
        return next((f"dict:{key}" for key, value in returned.items() if _is_tensor(value)), "")
    values = returned if isinstance(returned, (tuple, list)) else ()
    return next((f"tuple:{at}" for at, value in enumerate(values) if _is_tensor(value)), "")


def _short(value: Any) -> str:
    return str(list(value.shape)) if _is_tensor(value) else type(value).__name__


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")


_NAMED = 6  # values that a line names


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _tensors(value: Any) -> int:
    """Count the tensors in a value; what is none, as None, takes no place in a flat list of them."""
    if _is_tensor(value):
        return 1
    if isinstance(value, Mapping):
        return sum(map(_tensors, value.values()))
    return sum(map(_tensors, value)) if isinstance(value, (tuple, list)) else 0
