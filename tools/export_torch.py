#!/usr/bin/env python3
"""Writes a torch.nn module as a spec's layers (TOML) and its weights (safetensors).

    python tools/export_torch.py torchvision.models:resnet18 --out FOLDER [--kwargs num_classes=10]

writes FOLDER/model.toml, a spec to which [data], [loss] and estimators are to be adapted, and
FOLDER/model.safetensors. As a library: `export(module, folder)`.

The module is traced with torch.fx in evaluation mode. What can be written is a chain of layers in
which parts may branch from one value and meet again by addition or torch.cat along the channels,
nested as deep as one likes. Anything else ends with an error that names it and says what to use
instead. Needs torch and safetensors.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import torch
from safetensors.torch import save_file
from torch import fx, nn
from torch.nn import functional as F

INSTEAD = (
    "write the module with nn.Sequential, residual additions and the layers that the README lists; or save it\n"
    "  with torch.jit.script and name the file as [model] torchscript: then products by autodiff are available"
)


class Unsupported(Exception):
    """A part of the module that layers cannot express."""

    def __init__(self, what: str, why: str, instead: str = INSTEAD):
        super().__init__(f"{what}: {why}\n  instead: {instead}")


@dataclass
class Layer:
    """An element of a list of layers: what the spec says, its module, and lists within it."""

    spec: dict[str, Any]
    module: nn.Module | None = None
    # The key that a list stands under (body, shortcut, branches), with its layers.
    lists: list[tuple[str, list["Layer"]]] = field(default_factory=list)


# What a module or function becomes ---------------------------------------------------------------


def one_or_list(value: Any) -> Any:
    """A number for equal sizes, else a list."""
    if isinstance(value, (tuple, list)):
        return value[0] if len(set(value)) == 1 else list(value)
    return value


def spec_of(kind: str, keys: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """`kind` and the keys that are not as usual."""
    keys = {key: one_or_list(value) for key, value in keys.items()}
    return {"kind": kind} | {k: v for k, v in keys.items() if k not in usual or usual[k] != v}


def check(name: str, condition: bool, why: str) -> None:
    if not condition:
        raise Unsupported(name, why)


def conv(name: str, m: nn.Module, kind: str, **more: Any) -> Layer:
    check(name, m.padding_mode == "zeros", f"padding_mode = '{m.padding_mode}' has no layer")
    check(name, not isinstance(m.padding, str), f"padding = '{m.padding}'; write it as numbers")
    keys = {
        "out": m.out_channels,
        "kernel_size": m.kernel_size,
        "stride": m.stride,
        "padding": m.padding,
        "dilation": m.dilation,
        "groups": m.groups,
        "bias": m.bias is not None,
    } | more
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "output_padding": 0}
    return Layer(spec_of(kind, keys, usual), m)


def max_pool(name: str, kind: str, m: Any) -> Layer:
    check(name, not m.return_indices, "return_indices = True has no layer")
    keys = {k: getattr(m, k) for k in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    usual = {"stride": one_or_list(m.kernel_size), "padding": 0, "dilation": 1, "ceil_mode": False}
    return Layer(spec_of(kind, keys, usual))


def avg_pool(name: str, kind: str, m: Any) -> Layer:
    del name
    keys = {k: getattr(m, k) for k in ("kernel_size", "stride", "padding", "ceil_mode")}
    keys["count_include_pad"] = m.count_include_pad
    usual = {"stride": one_or_list(m.kernel_size), "padding": 0, "ceil_mode": False}
    usual["count_include_pad"] = True
    if getattr(m, "divisor_override", None) is not None:
        keys["divisor_override"] = m.divisor_override
    return Layer(spec_of(kind, keys, usual))


def adaptive(name: str, kind: str, size: Any) -> Layer:
    sizes = size if isinstance(size, (tuple, list)) else [size]
    check(name, None not in sizes, "an output size of None has no layer; write the number")
    return Layer({"kind": kind, "output_size": one_or_list(size)})


def batch_norm(name: str, m: nn.Module, kind: str) -> Layer:
    check(name, m.running_mean is not None, "track_running_stats = False couples the samples")
    keys = {"eps": m.eps, "affine": m.affine}
    return Layer(spec_of(kind, keys, {"eps": 1e-5, "affine": True}), m)


def layer_norm(name: str, m: nn.LayerNorm) -> Layer:
    del name
    affine = m.weight is not None
    keys = {"eps": m.eps, "elementwise_affine": affine, "bias": m.bias is not None or not affine}
    usual = {"eps": 1e-5, "elementwise_affine": True, "bias": True}
    spec = spec_of("layer_norm", keys, usual)
    return Layer(spec | {"normalized_shape": list(m.normalized_shape)}, m)


def group_norm(name: str, m: nn.GroupNorm) -> Layer:
    del name
    keys = {"num_groups": m.num_groups, "eps": m.eps, "affine": m.affine}
    return Layer(spec_of("group_norm", keys, {"eps": 1e-5, "affine": True}), m)


def embedding(name: str, m: nn.Embedding) -> Layer:
    check(name, m.max_norm is None, "max_norm changes the weights in a forward pass")
    check(name, not m.scale_grad_by_freq, "scale_grad_by_freq = True is no derivative of a loss")
    keys = {"num_embeddings": m.num_embeddings, "embedding_dim": m.embedding_dim}
    padding = {} if m.padding_idx is None else {"padding_idx": m.padding_idx}
    return Layer({"kind": "embedding"} | keys | padding, m)


def flatten(name: str, start: Any, end: Any = -1) -> Layer:
    check(name, (start, end) == (1, -1), f"flatten({start}, {end}); only flatten(1) has a layer")
    return Layer({"kind": "flatten"})


def activation(kind: str, keys: dict[str, Any] | None = None, usual: dict[str, Any] | None = None) -> Layer:
    return Layer(spec_of(kind, keys or {}, usual or {}))


def gelu(approximate: str) -> Layer:
    return activation("gelu", {"approximate": approximate}, {"approximate": "none"})


MODULES: dict[type, Callable[[str, Any], Layer | None]] = {
    nn.Identity: lambda n, m: None,
    nn.Flatten: lambda n, m: flatten(n, m.start_dim, m.end_dim),
    nn.Linear: lambda n, m: Layer(
        spec_of("linear", {"out": m.out_features, "bias": m.bias is not None}, {"bias": True}), m
    ),
    nn.ReLU: lambda n, m: activation("relu"),
    nn.Sigmoid: lambda n, m: activation("sigmoid"),
    nn.LogSigmoid: lambda n, m: activation("log_sigmoid"),
    nn.Tanh: lambda n, m: activation("tanh"),
    nn.SiLU: lambda n, m: activation("silu"),
    nn.SELU: lambda n, m: activation("selu"),
    nn.GELU: lambda n, m: gelu(m.approximate),
    nn.ELU: lambda n, m: activation("elu", {"alpha": m.alpha}, {"alpha": 1.0}),
    nn.LeakyReLU: lambda n, m: activation(
        "leaky_relu", {"negative_slope": m.negative_slope}, {"negative_slope": 0.01}
    ),
    nn.Softplus: lambda n, m: activation(
        "softplus", {"beta": m.beta, "threshold": m.threshold}, {"beta": 1, "threshold": 20}
    ),
    nn.Hardtanh: lambda n, m: activation(
        "hardtanh", {"min_val": m.min_val, "max_val": m.max_val}, {"min_val": -1.0, "max_val": 1.0}
    ),
    nn.ReLU6: lambda n, m: activation("hardtanh", {"min_val": 0.0, "max_val": 6.0}),
    nn.BatchNorm1d: lambda n, m: batch_norm(n, m, "batch_norm1d"),
    nn.BatchNorm2d: lambda n, m: batch_norm(n, m, "batch_norm2d"),
    nn.BatchNorm3d: lambda n, m: batch_norm(n, m, "batch_norm3d"),
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    nn.Embedding: embedding,
}
for _d in (1, 2, 3):
    _of = lambda cls, _d=_d: getattr(nn, f"{cls}{_d}d")
    MODULES |= {
        _of("Conv"): lambda n, m, d=_d: conv(n, m, f"conv{d}d"),
        _of("ConvTranspose"): lambda n, m, d=_d: conv(
            n, m, f"conv_transpose{d}d", output_padding=m.output_padding
        ),
        _of("MaxPool"): lambda n, m, d=_d: max_pool(n, f"max_pool{d}d", m),
        _of("AvgPool"): lambda n, m, d=_d: avg_pool(n, f"avg_pool{d}d", m),
        _of("AdaptiveAvgPool"): lambda n, m, d=_d: adaptive(
            n, f"adaptive_avg_pool{d}d", m.output_size
        ),
        _of("ZeroPad"): lambda n, m, d=_d: Layer(
            {"kind": f"zero_pad{d}d", "padding": list(m.padding)}
        ),
    }
# In evaluation a dropout is the identity, and it is gone.
for _cls in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout):
    MODULES[_cls] = lambda n, m: None

# Functions and methods of one value without settings.
PLAIN = {
    torch.relu: "relu", F.relu: "relu", F.relu_: "relu", "relu": "relu", "relu_": "relu",
    torch.sigmoid: "sigmoid", F.sigmoid: "sigmoid", "sigmoid": "sigmoid",
    torch.tanh: "tanh", F.tanh: "tanh", "tanh": "tanh",
    F.silu: "silu", F.selu: "selu", F.logsigmoid: "log_sigmoid",
}  # fmt: skip
POOLS = {
    F.max_pool1d: nn.MaxPool1d, F.max_pool2d: nn.MaxPool2d, F.max_pool3d: nn.MaxPool3d,
    F.avg_pool1d: nn.AvgPool1d, F.avg_pool2d: nn.AvgPool2d, F.avg_pool3d: nn.AvgPool3d,
    F.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d, F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    F.adaptive_avg_pool3d: nn.AdaptiveAvgPool3d,
    F.leaky_relu: nn.LeakyReLU, F.elu: nn.ELU, F.softplus: nn.Softplus, F.hardtanh: nn.Hardtanh,
    F.relu6: nn.ReLU6,
}  # fmt: skip
ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}


class Converter:
    """Turns the graph of a traced module into nested lists of layers."""

    def __init__(self, module: nn.Module):
        self.traced = fx.symbolic_trace(module.eval())
        self.flattens: set[fx.Node] = set()
        self.calls: dict[str, int] = {}
        for node in self.traced.graph.nodes:
            self.note_flatten(node)
        self.traced.graph.eliminate_dead_code()
        self.order = {node: i for i, node in enumerate(self.traced.graph.nodes)}

    def layers(self) -> list[Layer]:
        nodes = list(self.traced.graph.nodes)
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
            module = self.traced.get_submodule(node.target)
            self.calls[node.target] = self.calls.get(node.target, 0) + 1
            has_weights = any(True for _ in module.parameters())
            check(
                f"{node.target} ({type(module).__name__})",
                self.calls[node.target] == 1 or not has_weights,
                "is used more than once, and its weights cannot be shared",
            )
            convert = MODULES.get(type(module))
            if convert is None:
                known = ", ".join(sorted(cls.__name__ for cls in MODULES))
                why = f"is none of the modules that have a layer: {known}"
                raise Unsupported(f"{node.target} ({type(module).__name__})", why)
            return convert(node.target, module)
        return self.function(node, name)

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
        if len(shape) == 2 and shape[1] == -1 and is_batch_size(shape[0], value):
            node.args = (value,)
            self.flattens.add(node)


def is_batch_size(size: Any, value: Any) -> bool:
    if not isinstance(size, fx.Node):
        return False
    if size.target == "size":
        return size.args == (value, 0)
    if size.target is operator.getitem and size.args[1] == 0:
        whole = size.args[0]
        by_size = whole.target == "size" and whole.args == (value,)
        by_shape = whole.target is getattr and whole.args == (value, "shape")
        return by_size or by_shape
    return False


def is_join(node: fx.Node) -> bool:
    return node.target in ADDITIONS or node.target is torch.cat


def describe(node: fx.Node) -> str:
    target = node.target
    if not isinstance(target, str):
        target = getattr(target, "__name__", target)
    return f"{node.name} ({target})"


def residual(body: list[Layer], shortcut: list[Layer]) -> Layer:
    lists = [("body", body)] + ([("shortcut", shortcut)] if shortcut else [])
    return Layer({"kind": "residual"}, None, lists)


def parallel(lists: list[list[Layer]], combine: str) -> Layer:
    named = [(f"branches.{i}", layers) for i, layers in enumerate(lists)]
    return Layer({"kind": "parallel", "combine": combine}, None, named)


# What is written ---------------------------------------------------------------------------------


def tensors_of(layers: list[Layer], prefix: str = "") -> dict[str, torch.Tensor]:
    """The state of every module, under the place where its layer stands."""
    found: dict[str, torch.Tensor] = {}
    for index, layer in enumerate(layers):
        place = f"{prefix}{index}."
        if layer.module is not None:
            state = layer.module.state_dict()
            found |= {place + k: v for k, v in state.items() if k != "num_batches_tracked"}
        for key, inner in layer.lists:
            found |= tensors_of(inner, f"{place}{key}.")
    return found


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return repr(value)


def toml_list(layers: list[Layer], indent: str) -> str:
    lines = [f"{indent}  {toml_layer(layer, indent + '  ')},\n" for layer in layers]
    return "[\n" + "".join(lines) + indent + "]"


def toml_layer(layer: Layer, indent: str) -> str:
    parts = [f"{key} = {toml_value(value)}" for key, value in layer.spec.items()]
    if layer.spec["kind"] == "parallel":
        lists = ", ".join(toml_list(inner, indent) for _, inner in layer.lists)
        parts.append(f"branches = [{lists}]")
    else:
        parts += [f"{key} = {toml_list(inner, indent)}" for key, inner in layer.lists]
    return "{ " + ", ".join(parts) + " }"


SPEC = """# Written by tools/export_torch.py from {source}.
# Adapt data, loss and estimators; the names in {weights} are those of the layers below.
name = "{name}"
kind = "convergence"

[data]
source = "safetensors"          # tensors "x" and "y"
path   = "data.safetensors"

[model]
weights = "{weights}"
layers  = {layers}

[loss]
kind = "cross_entropy"

[sampling]
V       = [10]
V_batch = [10]
seeds   = [0]

[[estimator]]
kind = "propagation"
"""


def export(module: nn.Module, folder: Path | str, name: str = "model", source: str = "") -> list[Layer]:
    """Writes `name`.toml and `name`.safetensors to `folder`; returns the layers.

    Raises `Unsupported` where the module cannot be expressed.
    """
    layers = Converter(module).layers()
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors_of(layers).items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = f"{name}.safetensors"
    save_file(tensors, folder / weights)
    text = SPEC.format(
        source=source or type(module).__name__,
        name=name,
        weights=weights,
        layers=toml_list(layers, ""),
    )
    (folder / f"{name}.toml").write_text(text)
    return layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="where the module comes from: package.module:function")
    parser.add_argument("--kwargs", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--weights", help="a state_dict saved with torch.save, to be loaded first")
    parser.add_argument("--seed", type=int, default=0, help="torch.manual_seed before it is made")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="model")
    arguments = parser.parse_args()
    path, _, function = arguments.module.partition(":")
    if not function:
        parser.error(f"found '{arguments.module}', expected package.module:function")
    kwargs = {}
    for item in arguments.kwargs:
        key, _, value = item.partition("=")
        try:
            kwargs[key] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            kwargs[key] = value
    torch.manual_seed(arguments.seed)
    module = getattr(importlib.import_module(path), function)(**kwargs)
    if arguments.weights:
        module.load_state_dict(torch.load(arguments.weights, weights_only=True, map_location="cpu"))
    try:
        layers = export(module, arguments.out, arguments.name, arguments.module)
    except Unsupported as error:
        parser.exit(2, f"error: {error}\n")
    total = sum(p.numel() for p in module.parameters())
    print(f"wrote {arguments.out / arguments.name}.toml and .safetensors: {len(layers)} layers, {total} parameters")
    print("every product and estimator is available for these layers; `runner --dry-run` says more")


if __name__ == "__main__":
    main()
