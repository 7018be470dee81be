"""The exporter: names, what it passes over, and what it says of what it cannot write."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import curvature_runner
import pytest
import torch
from curvature_runner import Unsupported, export_layers
from curvature_runner.export import main
from models import CASES, problem
from safetensors.torch import load_file
from torch import nn

MODELS = '''
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.block = nn.ModuleDict({"c1": nn.Linear(4, width), "c2": nn.Linear(width, 3)})

    def forward(self, x):
        assert x.shape[1] == 4 and x.dim() == 2
        return self.block["c2"](torch.tanh(self.block["c1"](x)))


class Sorts(Net):
    def forward(self, x):
        x = self.block["c1"](x)
        x = torch.sort(x, dim=1)[0]
        return self.block["c2"](x)


def broken():
    raise RuntimeError("no such thing")
'''


def cli(folder: Path, capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str]:
    """What the command line prints in `folder`, and its exit code."""
    (folder / "mine.py").write_text(MODELS)
    sys.modules.pop("mine", None)
    try:
        with contextlib.chdir(folder):
            main([*arguments, "--out", "out"])
        code = 0
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_module_is_a_program(tmp_path):
    (tmp_path / "mine.py").write_text(MODELS)
    command = [sys.executable, "-m", "curvature_runner.export", "mine:Net", "--out", "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert (tmp_path / "out/model.toml").is_file()


def test_the_names_of_the_state_dict_stay(tmp_path, capsys):
    code, said = cli(tmp_path, capsys, "mine:Net", "--kwargs", "width=6")
    assert code == 0, said
    spec = (tmp_path / "out/model.toml").read_text()
    assert 'names = { 0 = "block.c1", 2 = "block.c2" }' in spec
    weights = load_file(tmp_path / "out/model.safetensors")
    assert sorted(weights) == ["block.c1.bias", "block.c1.weight", "block.c2.bias", "block.c2.weight"]
    assert weights["block.c1.weight"].shape == (6, 4)


def test_what_has_no_layer_is_named_by_its_line(tmp_path, capsys):
    code, said = cli(tmp_path, capsys, "mine:Sorts")
    assert code == 2, said
    line = MODELS.splitlines().index("        x = torch.sort(x, dim=1)[0]") + 1
    assert f"mine.py:{line}: `x = torch.sort(x, dim=1)[0]`" in said
    assert "--torchscript" in said and not (tmp_path / "out").exists()
    code, said = cli(tmp_path, capsys, "mine:Sorts", "--torchscript", "4")
    assert code == 0, said
    assert 'torchscript = "model.pt"' in (tmp_path / "out/model.toml").read_text()
    assert (tmp_path / "out/model.pt").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine"], "found 'mine', expected package.module:function"),
        (["nowhere:Net"], "nowhere:Net cannot be made: ModuleNotFoundError"),
        (["mine:Nyet"], "mine:Nyet cannot be made: AttributeError"),
        (["mine:broken"], "mine:broken cannot be made: RuntimeError: no such thing"),
        (["mine:Net", "--kwargs", "depth=3"], "unexpected keyword argument 'depth'"),
        (["mine:__name__"], "gives a str, expected a torch.nn.Module"),
        (["mine:Net", "--weights", "none.pt"], "none.pt cannot be loaded"),
        (["mine:Net", "--torchscript", "a,b"], "expected a shape such as 3,32,32"),
    ],
)
def test_every_mistake_ends_in_a_message(tmp_path, capsys, arguments, message):
    code, said = cli(tmp_path, capsys, *arguments)
    assert code == 2 and message in said, said


class Gate(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Gate(), "takes in several values"),
        (nn.Sequential(nn.Linear(3, 3), nn.GRUCell(3, 3)), "1 (GRUCell)"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect")), "padding_mode = 'reflect'"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))), "(ParametrizedLinear)"),
    ],
)
def test_what_layers_cannot_express_is_refused(module, words, tmp_path):
    with pytest.raises(Unsupported) as error:
        export_layers(module, tmp_path / "out")
    assert words in str(error.value) and "instead:" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_hooks_are_refused(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3))
    module[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(Unsupported, match="forward hooks"):
        export_layers(module, tmp_path)


def test_a_module_by_itself_keeps_its_names(tmp_path):
    model = nn.Linear(4, 3)
    x, y = torch.randn(5, 4), torch.randint(3, (5,))
    found = curvature_runner.trace(model, "cross_entropy", (x, y), progress=False)
    assert found.layers["parameter"] == ["weight", "bias"]


def test_the_names_reach_tables_figures_and_report():
    model, loss, x, y = problem(CASES["branches"])
    found = curvature_runner.trace(model, loss, (x, y), progress=False)
    for name, _ in model.named_parameters():
        assert name in found.parameters["parameter"] and name in found.report
