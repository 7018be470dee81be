"""Layers as a spec lists them, and what is said of what has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tracing.nodes import Node

INSTEAD = (
    "build that part of what the spec reference has layers for;\n"
    "  or export with --torchscript, after which libtorch differentiates the module itself"
)


class Unsupported(Exception):
    """A part of a module that layers cannot express.

    Attributes:
        what: The part, with the line of the user's code that made it, where that is known.
        why: Why it has no layer.
        instead: What to do.
    """

    def __init__(self, what: str, why: str, instead: str = INSTEAD):
        super().__init__(f"{what}: {why}\n  instead: {instead}")
        self.what, self.why, self.instead = what, why, instead


@dataclass
class Layer:
    """An element of a list of layers: what the spec says, the node that it is, and lists within it."""

    spec: dict[str, Any]
    node: "Node | None" = None
    # The key that a list stands under (body, shortcut, branches), with its layers.
    lists: list[tuple[str, list["Layer"]]] = field(default_factory=list)


def one_or_list(value: Any) -> Any:
    """A number for equal sizes, else a list."""
    if isinstance(value, (tuple, list)):
        return value[0] if len(set(value)) == 1 else list(value)
    return value


def spec_of(kind: str, keys: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """`kind` and the keys that are not as usual."""
    keys = {key: one_or_list(value) for key, value in keys.items()}
    return {"kind": kind} | {k: v for k, v in keys.items() if k not in usual or usual[k] != v}
