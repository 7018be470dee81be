"""BackPACK: batched products with the block-diagonal Hessian (HMP), and the exact diagonal.

The loop is the one of BackPACK's example of Hutchinson trace estimation. "hmp" draws its signs the
fastest way that torch has in one call; "hmp_packed_signs" draws 32 signs from one random integer.
"""

import os
import sys
from collections.abc import Callable

import torch
from backpack import backpack, extend
from backpack.extensions import HMP, DiagHessian
from torch import Tensor, nn

from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_probes, serve
from torch_problem import DEVICE, Attention, packed_signs, signs, torch_problem

model, loss, x, y = torch_problem(load_problem(sys.argv[1]))
extend(model)
extend(loss)


def hutchinson(draw: Callable[[tuple[int, ...]], Tensor]) -> Callable:
    """Hutchinson's estimate from HMP products, V_batch probes at once."""

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        torch.manual_seed(seed)
        with backpack(HMP()):
            loss(model(x), y).backward()
        values = []
        for size in chunks(V, V_batch):
            of_chunk = torch.zeros(size, device=DEVICE)
            for parameter in model.parameters():
                v = draw((size, *parameter.shape))
                Hv = parameter.hmp(v).detach()
                of_chunk += (v * Hv).flatten(1).sum(1)
            values.append(of_chunk)
        return mean_of_probes(torch.cat(values).cpu().numpy())

    return run


def diag_hessian(V: int, V_batch: None, seed: int) -> Estimate:
    """The sum of the exact diagonal."""
    with backpack(DiagHessian()):
        loss(model(x), y).backward()
    return Estimate(sum(float(parameter.diag_h.sum()) for parameter in model.parameters()))


def without_second_order() -> str | None:
    """HMP and DiagHessian each have a list of layers, and those of a transformer are not on it."""
    unknown = (nn.Embedding, nn.LayerNorm, nn.GELU, Attention)
    found = sorted({type(module).__name__ for module in model.modules() if isinstance(module, unknown)})
    return f"BackPACK 1.7 has no second-order extension for {', '.join(found)}" if found else None


def too_large_for_diag_hessian() -> str | None:
    """DiagHessian backpropagates a units x units matrix per sample from every activation."""
    hidden, units = x[:1], 0
    for layer in model:
        hidden = layer(hidden)
        if isinstance(layer, (nn.Sigmoid, nn.Tanh)):
            units = max(units, hidden.numel())
    needed = len(x) * units**2 * x.element_size()
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed < present / 4:
        return None
    return (
        f"one {units} x {units} matrix for each of {len(x)} samples takes {needed / 2**30:.0f} GiB, "
        f"several are needed, this machine has {present / 2**30:.0f} GiB"
    )


no_rule = without_second_order()
serve(
    "backpack",
    ["backpack-for-pytorch", "torch"],
    [
        Method("hmp", "block", hutchinson(signs), V_BATCHES, unsupported=no_rule),
        Method("hmp_packed_signs", "block", hutchinson(packed_signs), V_BATCHES, unsupported=no_rule),
        Method("diag_hessian", "exact", diag_hessian, unsupported=no_rule or too_large_for_diag_hessian()),
    ],
)
