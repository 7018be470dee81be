"""The exact trace of the Hessian per parameter, in float64: the truth that errors are measured against.

Only the Hessian's diagonal blocks matter, so every layer is seen from its own input, and the layers
before it only supply data. Written apart from every peer and from our own program.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.functional import unfold

from torch_problem import Residual

UNITS_AT_ONCE = 16


PIECEWISE_LINEAR = (
    nn.Sequential,
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    Residual,
)


def exact_traces(model: nn.Sequential, loss: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """Trace of the Hessian of loss(model(x), y) for each parameter of a Sequential, by its name."""
    model = copy.deepcopy(model).double().requires_grad_(False)
    if all(isinstance(module, PIECEWISE_LINEAR) for module in model.modules()):
        return traces_by_columns(model, loss, x.double(), y)
    hidden, traces = x.double(), {}
    for index, layer in enumerate(model):
        output = layer(hidden)
        parameters = dict(layer.named_parameters())
        if parameters:
            rest = model[index + 1 :]
            entries = sum(p.numel() for p in parameters.values())
            way = traces_by_outputs if output[0].numel() < entries else traces_by_entries
            for name, trace in way(layer, rest, loss, hidden, y).items():
                traces[f"{index}.{name}"] = trace
        hidden = output
    return traces


def traces_by_columns(model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """One gradient for every sample and output, where the outputs are piecewise linear in every parameter.

    The Hessian's diagonal blocks are then J' H J with the outputs' Jacobian J and the loss's Hessian H
    at the outputs; with H_n = R_n R_n' for sample n, a trace is the sum of the squares of R_n' J_n.
    """
    model.requires_grad_(True)
    names, parameters = zip(*model.named_parameters())
    sums = [0.0] * len(parameters)
    for sample in range(len(x)):
        output = model(x[sample : sample + 1])

        def loss_of(output: Tensor, y: Tensor = y[sample : sample + 1]) -> Tensor:
            return loss(output, y) / len(x)

        hessian = torch.func.hessian(loss_of)(output.detach()).reshape(output.numel(), -1)
        values, vectors = torch.linalg.eigh(hessian)
        for value, vector in zip(values.clamp_min(0.0), vectors.T):
            column = (value.sqrt() * vector).reshape(output.shape)
            gradients = torch.autograd.grad(output, parameters, column, retain_graph=True)
            sums = [total + float(g.square().sum()) for total, g in zip(sums, gradients)]
    return dict(zip(names, sums))


def traces_by_entries(
    layer: nn.Module, rest: nn.Module, loss: nn.Module, x: Tensor, y: Tensor
) -> dict[str, float]:
    """One Hessian product per entry of the parameters: for layers with few of them."""
    traces = {}
    for name, parameter in layer.named_parameters():

        def loss_of(value: Tensor, name: str = name) -> Tensor:
            return loss(rest(functional_call(layer, {name: value}, (x,))), y)

        traces[name] = sum(
            float(products.flatten(1).gather(1, units.unsqueeze(1)).sum())
            for units, products in unit_products(loss_of, parameter, parameter.shape)
        )
    return traces


def traces_by_outputs(
    layer: nn.Linear | nn.Conv2d, rest: nn.Module, loss: nn.Module, x: Tensor, y: Tensor
) -> dict[str, float]:
    """One Hessian product per output unit, for all samples at once: for layers with few outputs.

    z = W x is linear in W. With x_t the patch [K] that position t sees (one position in a linear
    layer) and H_n the Hessian of the rest of the network at sample n's output [O, T],
    tr H_W = sum over n, o, t, t' of (x_t . x_t') H_n[o t, o t'], and x_t = 1 for the bias.
    """
    if isinstance(layer, nn.Conv2d):
        patches = unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    else:
        patches = x.unsqueeze(-1)
    overlap = torch.einsum("nkt,nks->nts", patches, patches)
    z = layer(x)

    weight = bias = 0.0
    # The same unit direction in every sample: samples do not mix, so this yields every H_n's column.
    for units, products in unit_products(lambda z: loss(rest(z), y), z, z[0].shape):
        channels, positions = units // overlap.shape[1], units % overlap.shape[1]
        products = products.reshape(len(units), len(x), -1, overlap.shape[1])
        for column, channel, position in zip(products, channels, positions):
            weight += float((column[:, channel] * overlap[:, position]).sum())
            bias += float(column[:, channel].sum())
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": bias}


def unit_products(
    function: Callable[[Tensor], Tensor], point: Tensor, shape: torch.Size
) -> Iterator[tuple[Tensor, Tensor]]:
    """Units of `shape` in chunks, and the Hessian's products with each unit direction.

    A direction of smaller rank than `point` is repeated along the leading axis.
    """
    gradient = grad(function)
    product = vmap(lambda v: jvp(gradient, (point,), (v.expand_as(point),))[1])
    for units in torch.arange(shape.numel()).split(UNITS_AT_ONCE):
        directions = torch.zeros(len(units), shape.numel(), dtype=point.dtype)
        directions[torch.arange(len(units)), units] = 1
        yield units, product(directions.reshape(len(units), *shape))
