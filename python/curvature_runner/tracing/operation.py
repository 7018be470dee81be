"""One operation of libtorch, with values in place of the tensors that are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..layers import Unsupported
from .values import Value


@dataclass(frozen=True)
class Operation:
    """
    Attributes:
        func: The operation.
        name: Its name, without the mark of what writes in place.
        args: What it takes.
        keys: Further arguments by name.
        output: The tensors it gave.
        shape: The shape of the first of them.
        place: Where in the user's code.
        buffers: The names of the arguments that are buffers of the module, by position.
    """

    func: Any
    name: str
    args: tuple[Any, ...]
    keys: dict[str, Any]
    output: Any
    shape: tuple[int, ...]
    place: str
    buffers: dict[int, str | None]

    def argument(self, i: int, name: str, default: Any = None) -> Any:
        return self.args[i] if len(self.args) > i else self.keys.get(name, default)

    @property
    def values(self) -> list[Value]:
        return [arg for arg in self.args if isinstance(arg, Value)]

    def unsupported(self, why: str) -> Unsupported:
        return Unsupported(self.place, why)

    def check(self, condition: bool, why: str) -> None:
        if not condition:
            raise self.unsupported(why)
