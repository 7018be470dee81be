"""The problem as a torch.nn.Sequential, and random signs as torch draws them fastest."""

import math
import os

import torch
from torch import Tensor, nn

from peer import THREADS, Problem

torch.set_num_threads(THREADS)
DEVICE = os.environ.get("PEER_DEVICE", "cpu")
# Everybody computes in float32, not in TF32.
torch.backends.cudnn.allow_tf32 = False


class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class PositionalEmbedding(nn.Module):
    """A vector for every position, normal of variance 1 at first as torch.nn.Embedding's are."""

    def __init__(self, shape: torch.Size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Attention(nn.Module):
    """softmax(q k' / sqrt(d)) v by heads, over queries, keys and values side by side on the last axis.

    Written as products: torch's fused kernels are not differentiable twice.
    """

    def __init__(self, heads: int, causal: bool = False):
        super().__init__()
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in x.chunk(3, dim=2))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Permute(nn.Module):
    """The axes in another order, the samples first."""

    def __init__(self, dims: list[int]):
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


def build_network(layers: list[dict], x: Tensor) -> nn.Sequential:
    """The network in evaluation mode, initialised in order; input sizes follow from the batch `x`."""
    built, hidden = [], x[:1]
    with torch.no_grad():
        for layer in layers:
            built.append(build_layer(layer, hidden).eval())
            hidden = built[-1](hidden)
    return nn.Sequential(*built)


def build_layer(layer: dict, x: Tensor) -> nn.Module:
    """One layer by its kind, for inputs like `x`."""
    options = {key: value for key, value in layer.items() if key not in ("kind", "out")}
    match layer["kind"]:
        case "residual":
            return Residual(build_network(layer["body"], x), build_network(layer.get("shortcut", []), x))
        case "batch_norm2d":
            return nn.BatchNorm2d(x.shape[1], **options)
        case "adaptive_avg_pool2d":
            return nn.AdaptiveAvgPool2d(**options)
        case "flatten":
            return nn.Flatten()
        case "linear":
            return nn.Linear(x.shape[-1], layer["out"], **options)
        case "conv2d":
            return nn.Conv2d(x.shape[1], layer["out"], **options)
        case "max_pool2d":
            return nn.MaxPool2d(**options)
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "gelu":
            return nn.GELU(**options)
        case "embedding":
            return nn.Embedding(**options)
        case "positional_embedding":
            return PositionalEmbedding(x.shape[1:])
        case "layer_norm":
            return nn.LayerNorm(**options)
        case "attention":
            return Attention(**options)
        case "permute":
            return Permute(**options)
        case kind:
            raise ValueError(f"unknown layer kind: {kind}")


def build_loss(kind: str, reduction: str) -> nn.Module:
    """The loss by its kind."""
    losses = {"cross_entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss}
    return losses[kind](reduction=reduction)


def torch_problem(problem: Problem) -> tuple[nn.Sequential, nn.Module, Tensor, Tensor]:
    """Network with its weights, loss, inputs and targets."""
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    model = build_network(problem.layers, x)
    # Batch norms count the batches that they were trained on, which nothing here depends on.
    model.load_state_dict({name: torch.from_numpy(w) for name, w in problem.weights.items()}, strict=False)
    return model.to(DEVICE), build_loss(problem.loss, problem.reduction), x.to(DEVICE), y.to(DEVICE)


def signs(shape: tuple[int, ...]) -> Tensor:
    """Random signs from one call of torch's generator per entry: the library's own way, in place."""
    uniform = torch.rand(shape, device=DEVICE).sub_(0.5)
    return torch.copysign(torch.ones((), device=DEVICE), uniform, out=uniform)


SHIFTS = torch.arange(32, dtype=torch.int32, device=DEVICE)
SIGN_BIT = torch.tensor(-(2**31), dtype=torch.int32, device=DEVICE)
ONE_BITS = torch.tensor(1.0, device=DEVICE).view(torch.int32)


def packed_signs(shape: tuple[int, ...]) -> Tensor:
    """Random signs, 32 from one draw: each bit becomes the sign bit of a 1.0."""
    count = math.prod(shape)
    draws = torch.randint(-(2**31), 2**31, (-(-count // 32), 1), dtype=torch.int32, device=DEVICE)
    bits = torch.bitwise_left_shift(draws, SHIFTS)
    floats = bits.bitwise_and_(SIGN_BIT).bitwise_or_(ONE_BITS).view(torch.float32)
    return floats.view(-1)[:count].view(shape)
