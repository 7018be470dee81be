"""Small models, with data and loss, and their exact traces by torch.func."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers_by_hand import Bert, Gpt, Llama, Vit, encoder


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.first = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.project = nn.Conv2d(2, 3, 1, stride=2)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        batch, channels = x.shape[0], x.shape[1]
        assert channels == 1, "one channel"
        x = torch.tanh(self.stem(x))
        x = F.silu(self.norm(self.first(x)) + self.project(x))
        return self.head(x.mean((2, 3)).view(batch, -1))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(2, 2, 1)
        self.right = nn.Sequential(nn.Conv2d(2, 1, 1), nn.Sigmoid())
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(torch.cat([torch.tanh(self.left(x)), self.right(x)], dim=1).view(-1, 12))


class Shared(nn.Module):
    """One layer used twice, and a weight tied to another's."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.out = nn.Linear(3, 3, bias=False)
        self.out.weight = self.layer.weight

    def forward(self, x):
        return self.out(torch.tanh(self.layer(torch.tanh(self.layer(x)))))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(3, 3) for _ in range(3))
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        return self.head((x + torch.softmax(scores, dim=-1) @ self.value(x)).mean(dim=1))


class SharedAttention(Attention):
    """The same queries and keys, so that a layer is used twice, in fused attention."""

    def forward(self, x):
        q = self.query(x)
        y = F.scaled_dot_product_attention(q, self.query(x), self.value(x) + self.key(x))
        return self.head((x + y).mean(dim=1))


class Tokens(nn.Module):
    """What takes tokens and has no layers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        return self.head(torch.sort(self.embedding(x), dim=1)[0].mean(dim=1))


@dataclass
class Case:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    loss: Callable[[], nn.Module] = nn.CrossEntropyLoss
    layers: bool = True
    # How many tokens there are, where x is of tokens, and whether there is a class for every position.
    tokens: int = 0
    positions: bool = False


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )


def norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4), nn.Softplus(), nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 3)
    )


CASES = {
    "mlp": Case(mlp, (6, 2, 3)),
    "cnn with batch norm": Case(cnn, (5, 1, 6, 6)),
    "residual": Case(Residual, (4, 1, 5, 5)),
    "branches": Case(Branches, (4, 2, 2, 2)),
    "norms": Case(norms, (5, 2, 4)),
    "regression": Case(lambda: nn.Sequential(nn.Linear(4, 5), nn.Sigmoid(), nn.Linear(5, 3)), (6, 4), nn.MSELoss),
    "binary": Case(
        lambda: nn.Sequential(nn.Linear(4, 5), nn.SELU(), nn.Linear(5, 3)),
        (6, 4),
        lambda: nn.BCEWithLogitsLoss(reduction="sum", pos_weight=torch.tensor([1.0, 2.0, 0.5])),
    ),
    "attention": Case(Attention, (5, 4, 3)),
    "GPT, fused attention": Case(lambda: Gpt(True), (3, 4), tokens=5, positions=True),
    "GPT, attention by hand": Case(lambda: Gpt(False), (3, 4), tokens=5, positions=True),
    "Llama": Case(Llama, (3, 4), tokens=5),
    "ViT": Case(Vit, (3, 1, 4, 4)),
    "BERT": Case(Bert, (3, 4), tokens=5),
    "nn.TransformerEncoder": Case(encoder, (3, 3, 4)),
    "shared": Case(Shared, (5, 3), layers=False),
    "tokens": Case(Tokens, (5, 4), layers=False, tokens=7),
    "shared attention": Case(SharedAttention, (5, 4, 3), layers=False),
}


def problem(case: Case) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    """Model, loss and data in float64."""
    torch.manual_seed(0)
    model = case.make().double().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    x = torch.randn(case.shape, dtype=torch.float64)
    if case.tokens:
        x = torch.randint(case.tokens, case.shape)
    loss = case.loss().double()
    y = torch.randint(3, case.shape if case.positions else case.shape[:1])
    if isinstance(loss, nn.MSELoss):
        y = torch.randn(case.shape[0], 3, dtype=torch.float64)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        y = torch.rand(case.shape[0], 3, dtype=torch.float64)
    return model, loss, x, y


def diagonals(model: nn.Module, loss: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """The exact diagonal of every parameter's block, by torch.func."""
    found = {}
    for name, parameter in model.named_parameters():

        def value(p: torch.Tensor, name: str = name) -> torch.Tensor:
            output = functional_call(model, {name: p}, (x,))
            return loss(output.movedim(-1, 1) if y.dim() > 1 and not y.is_floating_point() else output, y)

        # Fused attention has no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            dense = hessian(value)(parameter.detach())
        n = parameter.numel()
        found[name] = dense.reshape(n, n).diagonal().reshape(parameter.shape)
    return found
