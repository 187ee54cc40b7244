"""A worker that dies while it is told what to do next is a worker that died, and no error of the controller's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from vitgate.plugin import pytest_configure_node
from vitgate.plugin.fixtures import PLAN


def test_command_to_dead_worker_is_dropped() -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    def send(name: str, **kwargs: object) -> None:
        sent.append((name, kwargs))
        if name == "shutdown":
            raise OSError("cannot send (already closed?)")

    plan = SimpleNamespace(to_json=lambda: "plan")
    node: Any = SimpleNamespace(workerinput={}, config=SimpleNamespace(stash={PLAN: plan}), sendcommand=send)

    pytest_configure_node(node)
    node.sendcommand("runtests", indices=[1])
    node.sendcommand("shutdown")

    assert node.workerinput == {"vitgate": "plan"}
    assert sent == [("runtests", {"indices": [1]}), ("shutdown", {})]
