"""torch.func: vmap over second derivatives of the loss, eager and through torch.compile.

"hvp" multiplies with the Hessian, jvp of grad; "jvp_jvp" takes the second derivative along each
probe, jvp of jvp, which needs no backward pass. Signs are drawn 32 from one random integer.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_probes, serve
from torch_problem import packed_signs, torch_problem

Parameters = dict[str, Tensor]

torch._dynamo.config.recompile_limit = 64  # one compilation for every chunk size
model, criterion, x, y = torch_problem(load_problem(sys.argv[1]))
model.requires_grad_(False)
parameters = dict(model.named_parameters())


def loss(p: Parameters) -> Tensor:
    """The batch's loss as a function of the parameters."""
    return criterion(functional_call(model, p, (x,)), y)


def dot(a: Parameters, b: Parameters) -> Tensor:
    """Inner product over all parameters."""
    return sum((a[name] * b[name]).sum() for name in a)


def hvp(p: Parameters, v: Parameters) -> Tensor:
    """v . (H v), forward over reverse."""
    return dot(v, jvp(grad(loss), (p,), (v,))[1])


def jvp_jvp(p: Parameters, v: Parameters) -> Tensor:
    """The loss's second derivative along v, forward over forward."""
    return jvp(lambda p: jvp(loss, (p,), (v,))[1], (p,), (v,))[1]


def hvp_by_block(p: Parameters, v: Parameters) -> Tensor:
    """v times the block diagonal of H times v."""

    def one_block(name: str) -> Tensor:
        product = jvp(grad(lambda w: loss({**p, name: w})), (p[name],), (v[name],))[1]
        return (v[name] * product).sum()

    return sum(one_block(name) for name in p)


def jvp_jvp_by_block(p: Parameters, v: Parameters) -> Tensor:
    """The sum of the loss's second derivatives along v in each parameter alone."""

    def one_block(name: str) -> Tensor:
        def slope(w: Tensor) -> Tensor:
            return jvp(lambda w: loss({**p, name: w}), (w,), (v[name],))[1]

        return jvp(slope, (p[name],), (v[name],))[1]

    return sum(one_block(name) for name in p)


def hutchinson(form: Callable, compiled: bool = False) -> Callable:
    """Hutchinson's estimate, V_batch probes at once."""
    forms = vmap(form, in_dims=(None, 0))
    if compiled:
        forms = torch.compile(forms, dynamic=False)

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        torch.manual_seed(seed)
        values = []
        for size in chunks(V, V_batch):
            v = {name: packed_signs((size, *p.shape)) for name, p in parameters.items()}
            values.append(forms(parameters, v))
        return mean_of_probes(torch.cat(values).cpu().numpy())

    return run


CRASHES = (
    "torch 2.11: Inductor reuses the storage-less zero tensor of a nested jvp as a buffer, "
    "and the compiled code ends in a segmentation fault"
)
WRONG = (
    "torch 2.11: jvp of jvp leaves a term out of layer_norm's second derivative (pytorch issue 196700), "
    "and the trace is wrong"
)
WRONG_HERE = WRONG if any(isinstance(module, nn.LayerNorm) for module in model.modules()) else None

serve(
    "functorch",
    ["torch"],
    [
        method
        for quantity, product, derivative in (
            ("block", hvp_by_block, jvp_jvp_by_block),
            ("full", hvp, jvp_jvp),
        )
        for method in (
            Method("hvp", quantity, hutchinson(product), V_BATCHES),
            Method("hvp_compiled", quantity, hutchinson(product, compiled=True), V_BATCHES),
            Method("jvp_jvp", quantity, hutchinson(derivative), V_BATCHES, unsupported=WRONG_HERE),
            Method("jvp_jvp_compiled", quantity, hutchinson(derivative, compiled=True), unsupported=CRASHES),
        )
    ],
)
