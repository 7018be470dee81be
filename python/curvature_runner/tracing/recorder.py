"""Follows every operation of libtorch that a module makes of its samples."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from ..layers import Unsupported
from ..outputs import first_tensor
from . import rules
from .nodes import Node, Weight
from .realise import node_of, operation_name
from .values import Activation, Opaque, Parameter, Value

OURS = str(Path(__file__).parent.parent)
LIBRARIES = (str(Path(torch.__file__).parent), OURS, "<")


def record(module: nn.Module, x: torch.Tensor) -> tuple[Node, Node]:
    """The graph of layers that `module` makes of the samples x: their node, and that of the output.

    Attention is taken apart into its products, so that it is the same however it is written.

    Raises:
        Unsupported: What layers cannot express, if the output depends on it.
    """
    recorder = Recorder(module)
    start = Node({}, (), tuple(x.shape), place="the samples")
    # A tensor of its own, which no buffer of the module is.
    x = x.detach().clone()
    recorder.follow(x, Activation(start.shape, start.place, start))
    with evaluating(module), ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(recorder.modules())
        stack.enter_context(recorder)
        output = first_tensor(module(x))
    value = recorder.values.get(id(output))
    if value is None:
        raise Unsupported("the output of the module", "does not depend on its input")
    return start, node_of(value)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode and without torch's fused modules; afterwards as it was."""
    modes = [(part, part.training) for part in module.modules()]
    fused = torch.backends.mha.get_fastpath_enabled()
    cache = getattr(getattr(module, "config", None), "use_cache", None)
    try:
        module.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        if cache:
            module.config.use_cache = False
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        if cache:
            module.config.use_cache = cache
        for part, training in modes:
            part.training = training


class Recorder(TorchDispatchMode):
    """Knows of every tensor what it is in terms of layers and parameters; what it does not know is a constant."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else the first operation imports torch's compiler, for seconds."""
        return False

    def __init__(self, module: nn.Module):
        super().__init__()
        self.names = {part: name for name, part in module.named_modules()}
        self.inside: list[nn.Module] = []
        self.values: dict[int, Value] = {}
        # Tensors by the storage that they share, and those storages of constants that were written to.
        self.sharing: dict[int, list[torch.Tensor]] = {}
        self.written: set[int] = set()
        self.buffers = {id(buffer): name for name, buffer in module.named_buffers()}
        for name, parameter in module.named_parameters(remove_duplicate=True):
            value = Parameter(tuple(parameter.shape), name, Weight(name, parameter.detach(), parameter.detach()))
            self.follow(parameter, value)

    def follow(self, tensor: torch.Tensor, value: Value) -> None:
        self.values[id(tensor)] = value
        # Kept, so that no other tensor has its id.
        self.sharing.setdefault(storage(tensor), []).append(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        place = self.place(func)
        for tensor in given:
            if id(tensor) not in self.values and storage(tensor) in self.written:
                reason = Unsupported(place, "uses a tensor that values were written into, part by part")
                self.follow(tensor, Opaque(tuple(tensor.shape), place, reason))
        output = func(*args, **kwargs)
        if not any(id(tensor) in self.values for tensor in given):
            return output
        if operation_name(func) in rules.QUESTIONS and warns():
            return output
        known = lambda t: self.values.get(id(t), t) if isinstance(t, torch.Tensor) else t
        buffers = {i: self.buffers.get(id(t)) for i, t in enumerate(args) if isinstance(t, torch.Tensor)}
        value = rules.value_of(func, tree_map(known, args), tree_map(known, kwargs), output, place, buffers)
        self.keep(func, output, value, args[0] if args else None)
        return output

    def keep(self, func: Any, output: Any, value: Any, first: Any) -> None:
        """Notes what the output is, and what else it changes where it writes in place."""
        if isinstance(output, torch.Tensor) and output is first:
            self.write(first, value)
            return
        outputs = output if isinstance(output, (tuple, list)) else [output]
        values = value if isinstance(value, (tuple, list)) else [value]
        for tensor, one in zip(outputs, values):
            if isinstance(tensor, torch.Tensor) and isinstance(one, Value):
                self.follow(tensor, one)

    def write(self, tensor: torch.Tensor, value: Value) -> None:
        if id(tensor) not in self.values:
            self.written.add(storage(tensor))
        for other in self.sharing.get(storage(tensor), []):
            whole = other.shape == tensor.shape and other.stride() == tensor.stride()
            if other is tensor or (whole and other.data_ptr() == tensor.data_ptr()):
                continue
            reason = Unsupported(value.place, "writes into a part of a tensor that is used as a whole, too")
            self.values[id(other)] = Opaque(tuple(other.shape), value.place, reason)
        self.follow(tensor, value)

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Knows in which module it is."""
        enter = register_module_forward_pre_hook(lambda module, _: self.inside.append(module))
        leave = register_module_forward_hook(lambda *_: self.inside.pop() and None, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def place(self, func: Any) -> str:
        """The operation, its module, and the line of the user's code:
        "sort in block.c1 (Net) at model.py:12: `h = torch.sort(h)`"."""
        name = func._schema.name.split("::")[-1]
        return f"{name.strip('_')}{self.module()}{line()}"

    def module(self) -> str:
        """The innermost module that has a name."""
        named = [m for m in self.inside if self.names.get(m)]
        if not named:
            return ""
        return f" in {self.names[named[-1]]} ({type(named[-1]).__name__})"


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def warns() -> bool:
    """Whether a function that only warns is asking, as Hugging Face's models do about padding."""
    frame = sys._getframe(2)
    for _ in range(12):
        if frame is None or frame.f_code.co_name.startswith("warn"):
            return frame is not None
        frame = frame.f_back
    return False


def line() -> str:
    """The innermost line that is neither torch's nor ours, of what the module calls."""
    frame = sys._getframe(2)
    begun = False
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(LIBRARIES):
            text = linecache.getline(name, frame.f_lineno).strip()
            return f" at {Path(name).name}:{frame.f_lineno}: `{text}`"
        # Below `record` stands whoever asked for the export.
        begun = frame.f_code is record.__code__
        frame = None if begun else frame.f_back
    return ""
