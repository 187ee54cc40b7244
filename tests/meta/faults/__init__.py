"""The faults that the gate must find: each injects one thing that has gone wrong in the field or could.

The modules are named after the place where a fault sits. To add one, open the module of that place, write a function
that takes the `Scene`, and decorate it with what must turn red; `catalogue.py` says how.
"""

from . import (
    artifacts,
    calls,
    data,
    field,
    image_processor,
    images,
    judging,
    latency,
    lite,
    memory,
    model,
    native,
    preprocessing,
    processors,
    quantization,
    runtime,
    serving,
    table,
)
from .catalogue import catalogue, Fault

__all__ = [
    "Fault",
    "artifacts",
    "calls",
    "catalogue",
    "data",
    "field",
    "image_processor",
    "images",
    "judging",
    "latency",
    "lite",
    "memory",
    "model",
    "native",
    "preprocessing",
    "processors",
    "quantization",
    "runtime",
    "serving",
    "table",
]  # fmt: skip
