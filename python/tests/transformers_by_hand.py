"""Small transformers as people write them, for the table of models."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class CausalAttention(nn.Module):
    """As nanoGPT writes it, fused or by hand."""

    def __init__(self, width: int, heads: int, fused: bool):
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.heads, self.fused = heads, fused
        self.register_buffer("mask", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        k = k.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        v = v.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
            y = F.dropout(F.softmax(att, dim=-1), 0.1, self.training) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Gpt(nn.Module):
    def __init__(self, fused: bool):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(5, 4), nn.Embedding(8, 4)
        self.ln_1, self.attn = nn.LayerNorm(4), CausalAttention(4, 2, fused)
        self.ln_2, self.fc, self.proj = nn.LayerNorm(4, bias=False), nn.Linear(4, 6), nn.Linear(6, 4)
        self.ln_f, self.lm_head = nn.LayerNorm(4), nn.Linear(4, 5, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.size(1), device=tokens.device))
        x = x + self.attn(self.ln_1(x))
        h = self.fc(self.ln_2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return self.lm_head(self.ln_f(x + self.proj(h)))


class Norm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def turned(x):
    """Rotated by position, the halves of a head's entries against each other."""
    T, d = x.shape[-2:]
    angles = torch.arange(T).double()[:, None] * 100.0 ** (-torch.arange(0, d, 2).double() / d)
    cos, sin = (torch.cat([f(angles), f(angles)], dim=-1).to(x.dtype) for f in (torch.cos, torch.sin))
    half = torch.cat((-x[..., d // 2 :], x[..., : d // 2]), dim=-1)
    return x * cos + half * sin


class Llama(nn.Module):
    """Shared keys and values, rotary positions, RMS norms written out, a gate."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.norm, self.norm_2 = Norm(4), Norm(4)
        self.q, self.k, self.v = nn.Linear(4, 8, bias=False), nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.o = nn.Linear(8, 4, bias=False)
        self.gate, self.up, self.down = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        h = self.norm(x)
        q, k, v = (f(h).unflatten(-1, (-1, 4)).transpose(1, 2) for f in (self.q, self.k, self.v))
        k, v = (t[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1, 2) for t in (turned(k), v))
        x = x + self.o(F.scaled_dot_product_attention(turned(q), k, v, is_causal=True).transpose(1, 2).flatten(2))
        h = self.norm_2(x)
        return self.head((x + self.down(F.silu(self.gate(h)) * self.up(h)))[:, -1])


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.positions = nn.Parameter(torch.randn(1, 5, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        x = x + self.attention(x, x, x)[0]
        return self.head(self.norm(x)[:, 0])


class Bert(nn.Module):
    """A kind of token, biased queries, keys and values of their own, the mean over positions."""

    def __init__(self):
        super().__init__()
        self.words, self.kinds = nn.Embedding(5, 4, padding_idx=0), nn.Embedding(2, 4)
        self.norm = nn.LayerNorm(4, eps=1e-12)
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        x = self.norm(self.words(tokens) + self.kinds(torch.zeros_like(tokens)))
        q, k, v = (f(x).view(*x.shape[:2], 2, 2).permute(0, 2, 1, 3) for f in (self.query, self.key, self.value))
        weights = torch.softmax(torch.einsum("bhqd,bhkd->bhqk", q, k) / 2**0.5, dim=-1)
        y = torch.einsum("bhqk,bhkd->bqhd", weights, v).flatten(2)
        return self.head((x + y).mean(1))


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 5, activation="gelu", batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 1), nn.Flatten(), nn.Linear(12, 3))
