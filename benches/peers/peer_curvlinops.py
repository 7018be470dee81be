"""curvlinops: its Hessian operator, full or in blocks, with its own trace estimators."""

import sys
from collections.abc import Callable

import torch
from curvlinops import HessianLinearOperator, hutchinson_trace, hutchpp_trace, xtrace

from peer import V_BATCHES, Estimate, Method, chunks, load_problem, mean_of_chunks, serve
from torch_problem import torch_problem

model, loss, x, y = torch_problem(load_problem(sys.argv[1]))
parameters = list(model.parameters())
BLOCKS = {"full": [len(parameters)], "block": [1] * len(parameters)}


def operator(quantity: str) -> HessianLinearOperator:
    """The Hessian of this batch's loss."""
    return HessianLinearOperator(
        model, loss, parameters, [(x, y)], check_deterministic=False, block_sizes=BLOCKS[quantity]
    )


def in_chunks(quantity: str) -> Callable:
    """Hutchinson's estimate, averaged over calls of V_batch products each."""

    def run(V: int, V_batch: int, seed: int) -> Estimate:
        torch.manual_seed(seed)
        hessian, sizes = operator(quantity), chunks(V, V_batch)
        sums = [float(hutchinson_trace(hessian, size)) * size for size in sizes]
        return mean_of_chunks(sums, sizes)

    return run


def whole(estimate: Callable, multiple: int, quantity: str) -> Callable:
    """An estimate that needs all V products at once; V is rounded down to a multiple."""

    def run(V: int, V_batch: None, seed: int) -> Estimate:
        torch.manual_seed(seed)
        return Estimate(float(estimate(operator(quantity), V // multiple * multiple)))

    return run


serve(
    "curvlinops",
    ["curvlinops-for-pytorch", "torch"],
    [
        method
        for quantity in BLOCKS
        for method in (
            Method("hutchinson", quantity, in_chunks(quantity), V_BATCHES),
            Method("hutchpp", quantity, whole(hutchpp_trace, 3, quantity)),
            Method("xtrace", quantity, whole(xtrace, 2, quantity)),
        )
    ],
)
