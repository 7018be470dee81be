"""Writes the problems that the peers and our own program are compared on.

    make_problems.py OUT_DIR [NAME ...]        reads data/mnist and experiments/gpt of the repository

Each folder holds problem.json, data.safetensors (x, y) and model.safetensors (state_dict names). The
traces of the CNN and of the GPT take minutes: what the present code has made is not made again.
A batch of MNIST is the one that PyTorch's shuffling DataLoader draws after the layers have been
initialised under seed 0, as in BackPACK's example of Hutchinson trace estimation.
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from exact_trace import exact_traces
from sampled_trace import sampled_trace
from torch_problem import build_loss, build_network

HERE = Path(__file__).resolve().parent
MNIST = HERE.parents[1] / "data" / "mnist"
TEXT = HERE.parents[1] / "experiments" / "gpt" / "data.safetensors"
SOURCES = ["make_problems.py", "exact_trace.py", "sampled_trace.py", "torch_problem.py"]
LOSS = {"kind": "cross_entropy", "reduction": "mean"}
MLP_EXAMPLE = [
    {"kind": "flatten"},
    {"kind": "linear", "out": 20, "bias": False},
    {"kind": "sigmoid"},
    {"kind": "linear", "out": 10, "bias": False},
]
MLP_TANH = [
    {"kind": "flatten"},
    {"kind": "linear", "out": 256},
    {"kind": "tanh"},
    {"kind": "linear", "out": 128},
    {"kind": "tanh"},
    {"kind": "linear", "out": 10},
]
CNN = [
    {"kind": "conv2d", "out": 16, "kernel_size": 5, "padding": 2},
    {"kind": "tanh"},
    {"kind": "max_pool2d", "kernel_size": 2},
    {"kind": "conv2d", "out": 32, "kernel_size": 5, "padding": 2},
    {"kind": "tanh"},
    {"kind": "max_pool2d", "kernel_size": 2},
    {"kind": "flatten"},
    {"kind": "linear", "out": 10},
]


def stage(out: int, stride: int, inputs: int) -> list[dict]:
    """Two basic blocks of a residual network, a rectifier after each."""
    layers = []
    for first in (True, False):
        step = stride if first else 1
        block = {
            "kind": "residual",
            "body": [
                {"kind": "conv2d", "out": out, "kernel_size": 3, "stride": step, "padding": 1, "bias": False},
                {"kind": "batch_norm2d"},
                {"kind": "relu"},
                {"kind": "conv2d", "out": out, "kernel_size": 3, "padding": 1, "bias": False},
                {"kind": "batch_norm2d"},
            ],
        }
        if first and (stride, inputs) != (1, out):
            block["shortcut"] = [
                {"kind": "conv2d", "out": out, "kernel_size": 1, "stride": stride, "bias": False},
                {"kind": "batch_norm2d"},
            ]
        layers += [block, {"kind": "relu"}]
    return layers


# torchvision's resnet18 with ten classes.
RESNET18 = [
    {"kind": "conv2d", "out": 64, "kernel_size": 7, "stride": 2, "padding": 3, "bias": False},
    {"kind": "batch_norm2d"},
    {"kind": "relu"},
    {"kind": "max_pool2d", "kernel_size": 3, "stride": 2, "padding": 1},
    *stage(64, 1, 64),
    *stage(128, 2, 64),
    *stage(256, 2, 128),
    *stage(512, 2, 256),
    {"kind": "adaptive_avg_pool2d", "output_size": 1},
    {"kind": "flatten"},
    {"kind": "linear", "out": 10},
]


def convolutions(*channels: int | None) -> list[dict]:
    """Convolutions with rectifiers; None is a max pooling."""
    layers = []
    for out in channels:
        if out is None:
            layers.append({"kind": "max_pool2d", "kernel_size": 2})
        else:
            layers += [{"kind": "conv2d", "out": out, "kernel_size": 3, "padding": 1}, {"kind": "relu"}]
    return layers


# torchvision's vgg11 for small images: one linear layer on top.
VGG11 = [
    *convolutions(64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None),
    {"kind": "flatten"},
    {"kind": "linear", "out": 10},
]
MLP_WIDE = [
    {"kind": "flatten"},
    {"kind": "linear", "out": 4096},
    {"kind": "relu"},
    {"kind": "linear", "out": 4096},
    {"kind": "relu"},
    {"kind": "linear", "out": 10},
]


def residual(*body: dict) -> dict:
    """A layer norm and these layers, added to their input: half a block of a transformer."""
    norm = {"kind": "layer_norm", "normalized_shape": [128]}
    return {"kind": "residual", "body": [norm, *body]}


BLOCK = [
    residual(
        {"kind": "linear", "out": 384},
        {"kind": "attention", "heads": 4, "causal": True},
        {"kind": "linear", "out": 128},
    ),
    residual({"kind": "linear", "out": 512}, {"kind": "gelu"}, {"kind": "linear", "out": 128}),
]
# The network of experiments/gpt.toml.
GPT = [
    {"kind": "embedding", "num_embeddings": 65, "embedding_dim": 128},
    {"kind": "positional_embedding"},
    *4 * BLOCK,
    {"kind": "layer_norm", "normalized_shape": [128]},
    {"kind": "linear", "out": 65, "bias": False},
    {"kind": "permute", "dims": [0, 2, 1]},
]
# Layers; those whose initialisation the batch is drawn after; samples in the batch.
PROBLEMS = {
    "mlp_example": (MLP_EXAMPLE, MLP_EXAMPLE, 256),
    "mlp_tanh": (MLP_TANH, MLP_EXAMPLE, 256),  # the same batch
    "cnn": (CNN, CNN, 128),
}
# Layers, and samples of random images [3, 32, 32] of ten classes. Long work: only when named.
WIDE_PROBLEMS = {"resnet18": (RESNET18, 32), "vgg11": (VGG11, 32), "mlp_wide": (MLP_WIDE, 32)}
# Layers, and how many of the sequences of experiments/gpt, the first ones. Long work too.
TEXT_PROBLEMS = {"gpt": (GPT, 8), "gpt_32": (GPT, 32)}


def read_idx(path: Path) -> Tensor:
    """A gzipped IDX file of unsigned bytes."""
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    shape = numpy.frombuffer(content, ">u4", count=rank, offset=4).astype(int)
    entries = numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * rank)
    return torch.from_numpy(entries.reshape(shape).copy())


def mnist(root: Path) -> tuple[Tensor, Tensor]:
    """The training set as torchvision's ToTensor and Normalize((0.1307,), (0.3081,)) give it."""
    images = read_idx(root / "train-images-idx3-ubyte.gz").unsqueeze(1)
    labels = read_idx(root / "train-labels-idx1-ubyte.gz")
    return images.float().div_(255).sub_(0.1307).div_(0.3081), labels.long()


def first_shuffled_batch(size: int, batch: int) -> Tensor:
    """Indices of a shuffling DataLoader's first batch, drawn from the global generator.

    The loader draws its base seed first; then the sampler draws the seed of its permutation.
    """
    _base_seed, sampler_seed = (int(torch.empty((), dtype=torch.int64).random_()) for _ in range(2))
    generator = torch.Generator().manual_seed(sampler_seed)
    return torch.randperm(size, generator=generator)[:batch]


def made_by() -> str:
    """A hash of the code and of torch's version."""
    sources = [HERE / name for name in SOURCES]
    content = b"".join(path.read_bytes() for path in sources) + torch.__version__.encode()
    return hashlib.sha256(content).hexdigest()


def is_made(folder: Path) -> bool:
    """Whether the present code has made this problem."""
    description = folder / "problem.json"
    return description.exists() and json.loads(description.read_text()).get("made_by") == made_by()


def reference(model: nn.Sequential, x: Tensor, y: Tensor) -> dict:
    """What errors are measured against: the exact trace, and that of every parameter's block.

    Over tokens a network is a transformer, whose exact trace takes hours: there it is an estimate, and
    `exact_trace_std_error` says how far to trust it.
    """
    loss = build_loss(**LOSS)
    if x.is_floating_point():
        traces = exact_traces(model, loss, x, y)
        return {"exact_trace": sum(traces.values()), "exact_trace_per_parameter": traces}
    trace, std_error = sampled_trace(model, loss, x, y)
    return {"exact_trace": trace, "exact_trace_std_error": std_error}


def write_problem(folder: Path, layers: list[dict], model: nn.Sequential, x: Tensor, y: Tensor) -> None:
    """Write one problem folder, with the trace that errors are measured against; problem.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"x": x.contiguous(), "y": y.contiguous()}, folder / "data.safetensors")
    state = {name: t for name, t in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(state, folder / "model.safetensors")
    description = {
        "name": folder.name,
        "made_by": made_by(),
        "layers": layers,
        "loss": LOSS,
        "parameters": sum(p.numel() for p in model.parameters()),
        **reference(model, x, y),
    }
    (folder / "problem.json").write_text(json.dumps(description, indent=2) + "\n")
    error = f" ± {description['exact_trace_std_error']:.6f}" if "exact_trace_std_error" in description else ""
    trace = f"{description['exact_trace']:.6f}{error}"
    print(f"{folder.name}: {description['parameters']} parameters, trace {trace}")


def write_named(folder: Path, images: Tensor, labels: Tensor) -> None:
    """Write the problem that the folder is named after; MNIST's images and labels are for those on it."""
    name = folder.name
    torch.manual_seed(0)
    if name in WIDE_PROBLEMS:
        layers, size = WIDE_PROBLEMS[name]
        x, y = torch.randn(size, 3, 32, 32), torch.randint(10, (size,))
    elif name in TEXT_PROBLEMS:
        layers, size = TEXT_PROBLEMS[name]
        text = load_file(TEXT)
        x, y = text["x"][:size], text["y"][:size]
    else:
        layers, before, size = PROBLEMS[name]
        build_network(before, images)
        batch = first_shuffled_batch(len(images), size)
        x, y = images[batch], labels[batch]
        torch.manual_seed(0)
    write_problem(folder, layers, build_network(layers, x), x, y)


def main(out: Path, names: list[str]) -> None:
    """Write the problems of these names, or all."""
    images, labels = mnist(MNIST)
    for name in names or PROBLEMS:
        if not is_made(out / name):
            write_named(out / name, images, labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
