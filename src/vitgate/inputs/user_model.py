"""A user's own model and pictures: the functions that their file of cases names, called and checked.

They run with the rights of the user who named the file, in the process that builds the model. torch is imported by
whoever calls.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.preprocess import preprocess
from vitgate.spec.cases import OwnCase

if TYPE_CHECKING:
    from torch import nn


def own_model(case: OwnCase) -> nn.Module:
    """Return what the case's `build` returns, in evaluation mode; UsageError if it raises or returns no module."""
    from torch import nn

    model = _called(case, case.build)
    if not isinstance(model, nn.Module):
        raise _wrong(case, case.build, f"returned a {type(model).__name__} instead of a torch.nn.Module")
    if problem := _inputs_problem(model):
        do = "return a module that takes the picture alone, and has all else inside"
        what = f"{case.build} returned a {type(model).__name__} whose forward {problem}"
        raise UsageError(what, where=f"case {case.id}", do=do)
    return model.eval()


def _inputs_problem(model: nn.Module) -> str:
    """Say why the module cannot be called with one picture alone; empty where it can."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # of a forward that is no Python function
        return ""
    needed = [name for name, each in signature.parameters.items() if each.default is each.empty]
    names = [name for name in needed if signature.parameters[name].kind not in _REST]
    try:
        signature.bind(None)
    except TypeError:
        return f"takes {' and '.join(names) or 'no input'}, not one picture"
    return ""


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def own_pictures(case: OwnCase) -> npt.NDArray[np.float32]:
    """Return the case's pictures as float32 [N, C, H, W]; UsageError for one that the model cannot take."""
    return np.stack([own_picture(case, case.folder / row.file) for row in case.picture])


def own_picture(case: OwnCase, path: Path) -> npt.NDArray[np.float32]:
    """Return one picture as float32 [C, H, W]; UsageError for one that the model cannot take."""
    if case.transform is None:
        made = np.asarray(preprocess(path, case.input[-1], way=case.preprocessing)[0].numpy(), np.float32)
        if made.shape != case.input:
            what = f"the picture becomes {list(made.shape)}, and the input of {case.id} is {list(case.input)}"
            raise UsageError(what, where=path, do="name a `transform` in the file of cases that makes such inputs")
        return made
    if not path.is_file():
        raise UsageError("no such picture", where=path, do=f"give {case.id} pictures that exist")
    value = _called(case, case.transform, str(path))
    array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    if array.dtype != np.float32 or array.shape != case.input:
        got = f"returned {array.dtype} {list(array.shape)} for {path.name}, not float32 {list(case.input)}"
        raise _wrong(case, case.transform, got)
    return array


def _called(case: OwnCase, name: str, *arguments: Any) -> Any:
    function = _found(case, name)
    try:
        return function(*arguments)
    except MemoryError:
        raise MachineError("out of memory", where=name, do="free memory or use fewer workers (-n 1)") from None
    except Exception as error:  # anything: it is the user's code
        raise _wrong(case, name, f"raised {type(error).__name__}: {error}") from error


def _found(case: OwnCase, name: str) -> Callable[..., Any]:
    """Import the function, looking in the folder of the user's file first."""
    module, _, attribute = name.partition(":")
    if (folder := str(case.folder)) not in sys.path:
        sys.path.insert(0, folder)
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # anything: it is the user's code
        raise _wrong(case, name, f"cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise _wrong(case, name, f"is a {type(function).__name__}, no function")
    return function


def _wrong(case: OwnCase, name: str, what: str) -> UsageError:
    return UsageError(f"{name} {what}", where=f"case {case.id}", do="mend the function, or the file of cases")
