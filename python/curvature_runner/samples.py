"""Samples at which a module is looked at, when none are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

TOKENS = 16
"""Tokens of a sample, where nothing says how many."""


def of_shape(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Two samples of this shape: tokens for a module that begins with an embedding, else floats."""
    generator = torch.Generator().manual_seed(0)
    parameter = next(module.parameters())
    first = first_layer(module)
    if isinstance(first, nn.Embedding):
        return torch.randint(first.num_embeddings, (2, *shape), generator=generator).to(parameter.device)
    dtype = parameter.dtype if parameter.is_floating_point() else torch.float32
    return torch.randn(2, *shape, generator=generator).to(parameter.device, dtype)


def guesses(module: nn.Module) -> Iterator[torch.Tensor]:
    """Samples that the module may take, by its configuration or its first layer."""
    shapes = list(shapes_of(getattr(module, "config", None))) or list(shapes_of_layer(first_layer(module)))
    for shape in shapes:
        yield of_shape(module, shape)


def shapes_of(config: Any) -> Iterator[tuple[int, ...]]:
    """By the configuration of a model of Hugging Face's."""
    size = getattr(config, "image_size", None)
    if size is not None:
        sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        yield (getattr(config, "num_channels", 3), *sides)
    most = getattr(config, "max_position_embeddings", None)
    if getattr(config, "vocab_size", None) is not None:
        yield (min(TOKENS, most or TOKENS),)


def shapes_of_layer(layer: nn.Module | None) -> Iterator[tuple[int, ...]]:
    if isinstance(layer, nn.Embedding):
        yield from ((TOKENS,), (1,), ())
    elif isinstance(layer, nn.Linear):
        yield from ((layer.in_features,), (TOKENS, layer.in_features))
    elif isinstance(layer, nn.MultiheadAttention):
        yield (TOKENS, layer.embed_dim)
    elif isinstance(layer, nn.modules.conv._ConvNd):
        dims = len(layer.kernel_size)
        for side in (32, 28, 224, 64, 8):
            yield (layer.in_channels, *[side] * dims)
    elif isinstance(layer, nn.modules.batchnorm._NormBase):
        yield from ((layer.num_features,), (layer.num_features, 32, 32))
    elif isinstance(layer, (nn.LayerNorm, nn.RMSNorm)):
        yield from (tuple(layer.normalized_shape), (TOKENS, *layer.normalized_shape))


def first_layer(module: nn.Module) -> nn.Module | None:
    """The first module of a kind whose inputs are known from it."""
    kinds = (
        nn.Embedding, nn.MultiheadAttention, nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase,
        nn.LayerNorm, nn.RMSNorm,
    )  # fmt: skip
    return next((part for part in module.modules() if isinstance(part, kinds)), None)
