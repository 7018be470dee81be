"""What one pass of curvature propagation costs over a ResNet-50 and over blocks of a transformer.

    python3 benches/cluster/costs.py target/release/runner

Times the set-up of a batch (a forward and a backward pass, and what is known exactly) and a pass beyond it,
with synthetic data and random weights, and scales them to ImageNet and to 1 billion parameters as
docs/cluster.md says. Two minutes on two cores, 8 GB.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

HEAD = """
kind = "timing"
device = "cpu"
timing = {{ warmup = 1, repeats = 1 }}
data = {{ source = "synthetic_classification", samples = {samples}, shape = {shape}, classes = {classes}, batch = {samples} }}
loss = {{ kind = "cross_entropy" }}
sampling = {{ V = [1, 3], V_batch = [1], seeds = [0] }}
estimator = [{{ kind = "propagation" }}]
model = {{ seed = 0, layers = [
{layers}
] }}
"""


def conv(out, size, stride=1):
    padding = size // 2
    return (
        f'{{ kind = "conv2d", out = {out}, kernel_size = {size}, stride = {stride}, padding = {padding},'
        ' bias = false }, { kind = "batch_norm2d" }'
    )


def resnet50():
    """torchvision's resnet50: 25.6 million parameters."""
    relu = '{ kind = "relu" }'
    layers = [conv(64, 7, 2), relu, '{ kind = "max_pool2d", kernel_size = 3, stride = 2, padding = 1 }']
    for width, blocks, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for block in range(blocks):
            step = stride if block == 0 else 1
            body = ", ".join([conv(width, 1), relu, conv(width, 3, step), relu, conv(4 * width, 1)])
            shortcut = f", shortcut = [{conv(4 * width, 1, step)}]" if block == 0 else ""
            layers += [f'{{ kind = "residual", body = [{body}]{shortcut} }}', relu]
    layers += ['{ kind = "adaptive_avg_pool2d", output_size = 1 }', '{ kind = "flatten" }']
    layers += ['{ kind = "linear", out = 1000 }']
    return layers


def transformer(blocks, width, heads):
    """Pre-norm blocks over vectors, as of a GPT, and a mean over positions."""
    norm = f'{{ kind = "layer_norm", normalized_shape = [{width}] }}'
    attention = [
        norm,
        f'{{ kind = "linear", out = {3 * width} }}',
        f'{{ kind = "attention", heads = {heads}, causal = true }}',
        f'{{ kind = "linear", out = {width} }}',
    ]
    perceptron = [
        norm,
        f'{{ kind = "linear", out = {4 * width} }}',
        '{ kind = "gelu" }',
        f'{{ kind = "linear", out = {width} }}',
    ]
    residual = lambda body: f'{{ kind = "residual", body = [{", ".join(body)}] }}'
    layers = [residual(attention), residual(perceptron)] * blocks
    return layers + [norm, '{ kind = "mean", dim = 1 }', '{ kind = "linear", out = 10 }']


def seconds(runner, layers, samples, shape, classes):
    """Of the set-up of a batch, and of one pass."""
    with tempfile.TemporaryDirectory() as folder:
        spec = pathlib.Path(folder, "spec.toml")
        text = HEAD.format(layers=",\n".join(layers), samples=samples, shape=shape, classes=classes)
        spec.write_text(text)
        subprocess.run([runner, spec, "--out", folder, "-q", "--yes"], check=True, stdout=subprocess.DEVNULL)
        with open(pathlib.Path(folder, "records.csv")) as file:
            one, three = (float(row["seconds"]) for row in csv.DictReader(file))
    each = (three - one) / 2
    return one - each, each


def main():
    runner = sys.argv[1]
    samples = 4
    setup, each = seconds(runner, resnet50(), samples, [3, 224, 224], 1000)
    print(f"ResNet-50, an image: set-up {setup / samples:.3f} s, a pass {each / samples:.3f} s")
    width, positions = 1792, 512
    one = seconds(runner, transformer(1, width, 14), 1, [positions, width], 10)
    two = seconds(runner, transformer(2, width, 14), 1, [positions, width], 10)
    setup, each = two[0] - one[0], two[1] - one[1]
    print(
        f"a transformer block of width {width}, a position: set-up {1e3 * setup / positions:.3f} ms, "
        f"a pass {1e3 * each / positions:.3f} ms"
    )


if __name__ == "__main__":
    main()
