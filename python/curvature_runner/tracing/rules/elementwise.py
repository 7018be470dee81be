"""Operations entry by entry: scaled values, functions that are recognised later, added parameters."""

from __future__ import annotations

from typing import Any

import torch

from ..nodes import Node, Weight
from ..operation import Operation
from ..realise import activation_of, node_of, plain
from ..recognise import has_one_leaf
from ..values import Activation, Function, Parameter, Scores, Term, Value, same_index, uniform
from .layers import rows_as_they_are
from .scores import changed_scores

aten = torch.ops.aten

UNARY = (
    "relu sigmoid tanh silu gelu elu leaky_relu softplus hardtanh clamp exp erf neg pow sqrt rsqrt reciprocal abs "
    "log_sigmoid_forward square mish hardswish hardsigmoid log log1p expm1 sin cos clamp_min relu6 celu selu"
).split()
BINARY = "add sub mul div rsub".split()


def elementwise(operation: Operation) -> Any:
    args = tuple(number(a) for a in operation.args)
    if any(isinstance(a, Scores) for a in args):
        return changed_scores(operation, args)
    if any(isinstance(a, Parameter) for a in args):
        return with_parameter(operation, args)
    if any(isinstance(a, torch.Tensor) for a in args):
        args = tuple(activation_of(a) if isinstance(a, Value) else a for a in args)
    value = shifted(operation, args) if operation.name == "add" else None
    value = terms(operation, args) if value is None else value
    if value is None:
        value = Function(operation.shape, operation.place, functional(operation), args, operation.keys)
        if not has_one_leaf(value):
            # No activation or norm is a function of several values: they are joined.
            value = activation_of(value)
    return [value] if isinstance(operation.output, tuple) else value


def shifted(operation: Operation, args: tuple[Any, ...]) -> Activation | None:
    """A constant for every position, such as sines of it."""
    constants = [a for a in args[:2] if isinstance(a, torch.Tensor)]
    values = [a for a in args[:2] if isinstance(a, Activation)]
    if len(constants) != 1 or len(values) != 1 or operation.keys.get("alpha", 1) != 1:
        return None
    constant = constants[0].detach().expand(operation.shape)
    same = values[0].shape == operation.shape and bool((constant == constant[:1]).all())
    operation.check(same and constant.dim() == 3, "adds a constant that is no vector for every position")
    weight = Weight("", constant[0], constant[0])
    return own(plain(values[0], operation.place), {"kind": "positional_embedding", "frozen": True}, weight, operation)


def number(arg: Any) -> Any:
    """A tensor of equal entries as their number."""
    if isinstance(arg, torch.Tensor):
        same = uniform(arg)
        return arg if same is None else same
    return arg


def functional(operation: Operation) -> Any:
    """The operation that writes nothing in place."""
    packet = getattr(aten, operation.name)
    return getattr(packet, operation.func._overloadname, packet)


def terms(operation: Operation, args: tuple[Any, ...]) -> Activation | None:
    """What is linear in the output of one node, with constant coefficients."""
    name, shape = operation.name, operation.shape
    if name == "neg" and isinstance(args[0], Activation):
        return args[0].scaled(-1.0)
    if name not in BINARY or len(args) < 2:
        return None
    a, b = args[:2]
    if name == "mul" and isinstance(b, Activation):
        a, b = b, a
    if not isinstance(a, Activation):
        return None
    if name in ("mul", "div") and isinstance(b, (int, float, torch.Tensor)):
        by = b if name == "mul" else 1.0 / b
        if isinstance(by, torch.Tensor):
            by = by.detach().to("cpu", torch.float64)
            a = a if a.shape == shape else a.moved(lambda t: t.expand(shape))
        return a.scaled(by)
    if name in ("add", "sub") and b == 0 and not isinstance(b, Value):
        return a
    both = isinstance(b, Activation) and a.node is b.node and a.shape == b.shape
    if name in ("add", "sub") and both:
        sign = operation.keys.get("alpha", 1) * (1.0 if name == "add" else -1.0)
        return sum_of_terms(a, b.scaled(sign), operation)
    return None


def sum_of_terms(a: Activation, b: Activation, operation: Operation) -> Activation:
    found = list(a.terms)
    for term in b.terms:
        for i, other in enumerate(found):
            if same_index(a.index_of(other), b.index_of(term)):
                found[i] = Term(other.index, other.coefficient + term.coefficient)
                break
        else:
            found.append(term)
    return Activation(operation.shape, operation.place, a.node, tuple(found))


def with_parameter(operation: Operation, args: tuple[Any, ...]) -> Activation:
    """A parameter that is added to values, or that scales what a norm puts out."""
    pairs = [a for a in args if isinstance(a, Value)]
    names = ", ".join(a.weight.name for a in pairs if isinstance(a, Parameter))
    others = [a for a in pairs if not isinstance(a, Parameter)]
    plain_sum = operation.name == "add" and operation.keys.get("alpha", 1) == 1
    operation.check(
        len(pairs) == 2 and len(others) == 1 and (plain_sum or operation.name == "mul"),
        f"computes with the parameter {names}; layers only add one to values, or scale a norm",
    )
    parameter = next(a for a in pairs if isinstance(a, Parameter))
    value = activation_of(others[0])
    return added(value, parameter, operation) if plain_sum else scaling(value, parameter, operation)


def scaling(value: Activation, parameter: Parameter, operation: Operation) -> Activation:
    """`weight ∘ norm(x)`."""
    node = value.node
    norm = node.spec.get("kind") in ("rms_norm", "layer_norm") and not node.weights
    fits = norm and parameter.shape == tuple(node.spec["normalized_shape"]) and value.is_plain
    why = f"multiplies with the parameter {parameter.weight.name}; layers do so right after a norm"
    operation.check(fits and value.shape == operation.shape, why)
    spec = {k: v for k, v in node.spec.items() if k != "elementwise_affine"}
    spec |= {"bias": False} if node.spec["kind"] == "layer_norm" else {}
    return value.over(Node(spec, node.inputs, node.shape, {"weight": parameter.weight}, operation.place))


def added(value: Activation, parameter: Parameter, operation: Operation) -> Activation:
    """A bias of the layer below, or of its own, or a vector for every position."""
    value = plain(value, operation.place)
    node, weight = value.node, parameter.weight
    operation.check(value.shape == operation.shape, f"adds the parameter {weight.name} to something smaller than it")
    features = value.shape[-1]
    per_feature = parameter.shape[-1] == features and weight.tensor.numel() == features
    if per_feature:
        bias = weight.moved(weight.tensor.reshape(-1), lambda t: t.reshape(-1))
        return with_bias(value, bias, operation)
    index = weight.index().expand(value.shape)
    if bool((index == index[:1]).all()):
        if index.dim() > 1 and bool((index == index[(0,) * (index.dim() - 1)]).all()):
            bias = weight.moved(weight.tensor.expand(value.shape)[(0,) * (index.dim() - 1)],
                                lambda t: t.expand(value.shape)[(0,) * (t.dim() - 1)])  # fmt: skip
            return with_bias(value, bias, operation)
        once = index[0].flatten().unique().numel() == index[0].numel()
        if once and index.dim() == 3:
            entries = lambda t: t.expand(value.shape)[0]
            return own(value, {"kind": "positional_embedding"}, weight.moved(entries(weight.tensor), entries), operation)
    raise operation.unsupported(f"adds the parameter {weight.name} in a way that no layer does")


def with_bias(value: Activation, bias: Any, operation: Operation) -> Activation:
    """Of the linear layer below, if it has none, else of its own; wherever rows have been moved to."""
    node = value.node
    if not rows_as_they_are(value):
        return own(value, {"kind": "bias"}, bias, operation)
    if node.spec.get("kind") == "linear" and "bias" not in node.weights:
        spec = {k: v for k, v in node.spec.items() if k != "bias"}
        return value.over(Node(spec, node.inputs, node.shape, node.weights | {"bias": bias}, node.place))
    return value.over(Node({"kind": "bias"}, (node,), node.shape, {"bias": bias}, operation.place))


def own(value: Activation, spec: dict[str, Any], weight: Any, operation: Operation) -> Activation:
    below = node_of(value)
    node = Node(spec, (below,), below.shape, {"weight" if spec["kind"] != "bias" else "bias": weight}, operation.place)
    return Activation(value.shape, operation.place, node)


def mean(operation: Operation) -> Any:
    value = operation.args[0]
    operation.check(not isinstance(value, (Scores, Parameter)), "takes a mean of what is no value of a layer")
    rank = len(value.shape)
    dims = operation.argument(1, "dim")
    dims = list(range(rank)) if dims is None else [dims] if isinstance(dims, int) else list(dims)
    dims = sorted(d % rank for d in dims)
    kept = bool(operation.argument(2, "keepdim", False))
    return Function(operation.shape, operation.place, aten.mean.dim, (value, dims, kept), {})


def total(operation: Operation) -> Any:
    """A sum is a mean times the number of its terms."""
    value = mean(operation)
    count = 1
    for dim in value.args[1]:
        count *= value.args[0].shape[dim]
    return activation_of(value).scaled(float(count))


def variance(operation: Operation) -> Any:
    """`mean (x − mean x)²`, biased."""
    correction = operation.keys.get("correction", 1)
    operation.check(correction in (0, False), "takes an unbiased variance; norms take the biased one")
    middle = Function((), operation.place, aten.mean.dim, mean(operation).args[:2] + (True,), {})
    value = operation.args[0]
    apart = Function(value.shape, operation.place, aten.sub.Tensor, (value, middle), {})
    squares = Function(value.shape, operation.place, aten.pow.Tensor_Scalar, (apart, 2), {})
    dims, kept = mean(operation).args[1:2][0], bool(operation.keys.get("keepdim", False))
    return Function(operation.shape, operation.place, aten.mean.dim, (squares, dims, kept), {})


HANDLERS = {name: elementwise for name in (*UNARY, *BINARY)}
HANDLERS |= {"mean": mean, "sum": total, "var": variance}
