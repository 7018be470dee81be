"""From a traced module to nested lists of layers."""

from __future__ import annotations

import operator
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from .layers import ADDITIONS, MODULES, PLAIN, POOLS, Layer, Unsupported, activation, check, flatten, gelu


class Converter:
    """Turns the graph of a traced module into nested lists of layers."""

    def __init__(self, module: nn.Module):
        # What is a layer by itself would be looked into, standing alone.
        self.module = nn.Sequential(module) if type(module) in MODULES else module
        self.alone = self.module is not module
        self.graph = traced(self.module)
        self.flattens: set[fx.Node] = set()
        # Which node a parameter was met at.
        self.owners: dict[int, fx.Node] = {}
        for node in self.graph.nodes:
            self.note_flatten(node)
        self.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        self.order = {node: i for i, node in enumerate(self.graph.nodes)}

    def layers(self) -> list[Layer]:
        nodes = list(self.graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        check("the module", len(inputs) == 1, f"takes {len(inputs)} inputs, expected one")
        (output,) = (node for node in nodes if node.op == "output")
        value = output.args[0]
        check("the module", isinstance(value, fx.Node), "puts out more than one tensor")
        return self.chain(inputs[0], value)

    def chain(self, start: fx.Node, end: fx.Node) -> list[Layer]:
        """The layers that lead from the value of `start` to that of `end`."""
        layers, region = [], self.before(end)
        if start not in region:
            raise Unsupported(describe(end), "does not depend on the value that its branch starts at")
        while start is not end:
            users = [user for user in start.users if user in region]
            if len(users) == 1 and not is_join(users[0]):
                layer, start = self.layer(users[0]), users[0]
            else:
                join = self.meeting(start, end, region)
                layer, start = self.branches(start, join), join
            if layer is not None:
                layers += layer if isinstance(layer, list) else [layer]
        return layers

    def before(self, end: fx.Node) -> set[fx.Node]:
        """`end` and every node that it depends on."""
        found, todo = {end}, [end]
        while todo:
            for node in todo.pop().all_input_nodes:
                if node not in found:
                    found.add(node)
                    todo.append(node)
        return found

    def meeting(self, start: fx.Node, end: fx.Node, region: set[fx.Node]) -> fx.Node:
        """The first node after `start` through which all paths to `end` lead."""
        waiting = {start: sum(user in region for user in start.users)}
        for node in sorted(region, key=self.order.get):
            inputs = [value for value in node.all_input_nodes if value in waiting]
            if node is start or not inputs:
                continue
            for value in inputs:
                waiting[value] -= 1
            waiting[node] = sum(user in region for user in node.users)
            if node is end or all(n is node or count == 0 for n, count in waiting.items()):
                return node
        raise AssertionError("every path leads to the end")

    def branches(self, start: fx.Node, join: fx.Node) -> Layer:
        if not is_join(join):
            why = f"takes in several values that began at {describe(start)}, and is no addition"
            raise Unsupported(describe(join), why)
        if join.target is torch.cat:
            dim = join.kwargs.get("dim", join.args[1] if len(join.args) > 1 else 0)
            check(describe(join), dim == 1, f"joins along dimension {dim}; only 1 has a layer")
            lists = [self.chain(start, value) for value in join.args[0]]
            return parallel(lists, "cat")
        check(describe(join), join.kwargs.get("alpha", 1) == 1, "adds with alpha")
        for value in join.args:
            check(describe(join), isinstance(value, fx.Node), f"adds the constant {value}")
        lists = [self.chain(start, value) for value in join.args]
        if all(lists):
            return residual(*lists) if len(lists) == 2 else parallel(lists, "add")
        body, shortcut = sorted(lists, key=len, reverse=True)
        return residual(body, shortcut)

    def layer(self, node: fx.Node) -> Layer | list[Layer] | None:
        name = describe(node)
        if node in self.flattens:
            return Layer({"kind": "flatten"})
        if node.op == "call_module":
            return self.of_module(node)
        return self.function(node, name)

    def of_module(self, node: fx.Node) -> Layer | None:
        target = str(node.target)
        module = self.module.get_submodule(target)
        name = f"{'the module' if self.alone else target} ({type(module).__name__}){place(node)}"
        for parameter in module.parameters():
            owner = self.owners.setdefault(id(parameter), node)
            check(name, owner is node, "is used more than once, or shares a weight, which no layer does")
        hooked = module._forward_hooks or module._forward_pre_hooks
        check(name, not hooked, "has forward hooks, which no layer has")
        convert = MODULES.get(type(module))
        if convert is None:
            known = ", ".join(sorted(cls.__name__ for cls in MODULES))
            raise Unsupported(name, f"is none of the modules that have a layer: {known}")
        layer = convert(target, module)
        if layer is not None:
            layer.name = "" if self.alone else target
        return layer

    def function(self, node: fx.Node, name: str) -> Layer | list[Layer] | None:
        target, rest, keys = node.target, node.args[1:], dict(node.kwargs)
        keys.pop("inplace", None)
        if any(isinstance(value, fx.Node) for value in rest):
            raise Unsupported(name, "takes in a second value, and is no addition")
        if target in PLAIN:
            return activation(PLAIN[target])
        if target in (F.dropout, F.dropout2d, "contiguous", "detach"):
            return None
        if target is F.gelu:
            return gelu(keys.get("approximate", "none"))
        if target in POOLS:
            keys.pop("training", None)
            module = POOLS[target](*rest, **keys)
            return MODULES[type(module)](name, module)
        if target in (torch.flatten, "flatten"):
            dims = list(rest) + [keys.get("start_dim", 0), keys.get("end_dim", -1)][len(rest) :]
            return flatten(name, *dims)
        if target in (torch.mean, "mean"):
            dims = rest[0] if rest else keys.get("dim")
            dims = [dims] if isinstance(dims, int) else list(dims or [])
            if sorted(d % 4 for d in dims) == [2, 3]:
                pool = Layer({"kind": "adaptive_avg_pool2d", "output_size": 1})
                kept = (rest[1] if len(rest) > 1 else keys.get("keepdim", False)) is True
                return pool if kept else [pool, Layer({"kind": "flatten"})]
        raise Unsupported(name, "has no layer")

    def note_flatten(self, node: fx.Node) -> None:
        """Recognises `x.view(x.size(0), -1)` and `x.reshape(len(x), -1)`."""
        if node.target not in ("view", "reshape", torch.reshape) or not node.args:
            return
        value, shape = node.args[0], list(node.args[1:])
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = list(shape[0])
        if len(shape) != 2:
            return
        # A wrong number of features is found by whatever takes them in.
        by_features = shape[0] == -1 and isinstance(shape[1], int) and shape[1] > 0
        by_samples = is_batch_size(shape[0]) and (shape[1] == -1 or isinstance(shape[1], int))
        if by_features or by_samples:
            node.args = (value,)
            self.flattens.add(node)


class Tracer(fx.Tracer):
    """Records the user's lines, and takes what they assert for true."""

    record_stack_traces = True

    def to_bool(self, obj: fx.Proxy) -> bool:
        line = innermost(traceback.extract_stack())
        if line is not None and (line.line or "").startswith("assert "):
            return True
        return super().to_bool(obj)


def traced(module: nn.Module) -> fx.Graph:
    """The graph of the module in evaluation mode; its modes stay as they are."""
    tracer = Tracer()
    modes = [(part, part.training) for part in module.modules()]
    try:
        return tracer.trace(module.eval())
    except Unsupported:
        raise
    except Exception as error:
        where = last_line(traceback.extract_tb(error.__traceback__))
        why = f"cannot be traced by torch.fx: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise Unsupported(f"the module{where}", why) from None
    finally:
        for part, training in modes:
            part.training = training


def is_batch_size(size: Any) -> bool:
    """Whether a node is the number of samples, which no layer changes, of whatever value."""
    if not isinstance(size, fx.Node):
        return False
    if size.target == "size":
        return size.args[1:] == (0,)
    if size.target is operator.getitem and size.args[1] == 0:
        whole = size.args[0]
        by_size = whole.target == "size" and len(whole.args) == 1
        by_shape = whole.target is getattr and whole.args[1] == "shape"
        return by_size or by_shape
    return False


def is_join(node: fx.Node) -> bool:
    return node.target in ADDITIONS or node.target is torch.cat


def describe(node: fx.Node) -> str:
    target = node.target
    if not isinstance(target, str):
        target = getattr(target, "__name__", target)
    return f"{node.name} ({target}){place(node)}"


def place(node: fx.Node) -> str:
    """The line of the user's code that made a node: ", model.py:12: h = torch.sort(h)"."""
    found = re.findall(r'File "(.+?)", line (\d+), in \S+\n\s*(.+)', node.stack_trace or "")
    return last_line([traceback.FrameSummary(f, int(n), "", line=line) for f, n, line in found])


def innermost(frames: Iterable[traceback.FrameSummary]) -> traceback.FrameSummary | None:
    """The innermost line that is neither torch's nor ours."""
    libraries = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    own = [f for f in frames if not f.filename.startswith((*libraries, "<"))]
    return own[-1] if own else None


def last_line(frames: Iterable[traceback.FrameSummary]) -> str:
    line = innermost(frames)
    return "" if line is None else f" at {Path(line.filename).name}:{line.lineno}: `{(line.line or '').strip()}`"


def residual(body: list[Layer], shortcut: list[Layer]) -> Layer:
    lists = [("body", body)] + ([("shortcut", shortcut)] if shortcut else [])
    return Layer({"kind": "residual"}, None, lists)


def parallel(lists: list[list[Layer]], combine: str) -> Layer:
    named = [(f"branches.{i}", layers) for i, layers in enumerate(lists)]
    return Layer({"kind": "parallel", "combine": combine}, None, named)
