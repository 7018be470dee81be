"""Plain PyTorch: the gradient is differentiated a second time along each probe.

V_batch = 1 is the loop that everybody writes; above it, `is_grads_batched` takes V_batch probes
through the second backward pass at once. Signs are drawn 32 from one random integer.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import grad

from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_probes, serve
from torch_problem import packed_signs, torch_problem

model, loss, x, y = torch_problem(load_problem(sys.argv[1]))
parameters = list(model.parameters())


def full_product(gradients: tuple[Tensor, ...], v: list[Tensor], batched: bool) -> tuple[Tensor, ...]:
    """H v."""
    return grad(gradients, parameters, v, retain_graph=True, is_grads_batched=batched)


def block_product(gradients: tuple[Tensor, ...], v: list[Tensor], batched: bool) -> tuple[Tensor, ...]:
    """v times the block diagonal of H, one block per parameter."""
    return tuple(
        grad(g, p, direction, retain_graph=True, is_grads_batched=batched)[0]
        for g, p, direction in zip(gradients, parameters, v)
    )


def hutchinson(product: Callable) -> Callable:
    """Hutchinson's estimate, V_batch probes at once."""

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        torch.manual_seed(seed)
        gradients = grad(loss(model(x), y), parameters, create_graph=True)
        values = []
        for size in chunks(V, V_batch):
            leading = (size,) if V_batch > 1 else ()
            v = [packed_signs((*leading, *p.shape)) for p in parameters]
            Hv = product(gradients, v, batched=V_batch > 1)
            values.append(sum((a * b).reshape(size, -1).sum(1) for a, b in zip(v, Hv)))
        return mean_of_probes(torch.cat(values).cpu().numpy())

    return run


serve(
    "autograd",
    ["torch"],
    [
        Method("double_backward", "block", hutchinson(block_product), V_BATCHES),
        Method("double_backward", "full", hutchinson(full_product), V_BATCHES),
    ],
)
