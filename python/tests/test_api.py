"""The functions of the package against the program, and against each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import curvature_runner
import pytest
import torch
from curvature_runner import RunnerError, Table, launch
from models import CASES, problem
from torch.utils.data import DataLoader, TensorDataset

RUNNER = [sys.executable, "-m", "curvature_runner.launch"]


def runner(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([*RUNNER, *arguments], capture_output=True, text=True, check=False)


def test_the_numbers_are_those_of_the_runner(tmp_path):
    model, loss, x, y = problem(CASES["residual"])
    found = curvature_runner.trace(model, loss, (x, y), estimator="propagation", folder=tmp_path, progress=False)
    assert (tmp_path / "spec.toml").read_text() == found.spec
    done = runner(tmp_path / "spec.toml", "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    again = Table.read(tmp_path / "again" / "records.csv")
    assert again["estimate"] == found.records["estimate"] == [found.value]
    assert again["std_error"] == [found.std_error]
    assert "stem.weight" in found.figures["layers"].svg
    assert "stem.weight" in found.report


def test_a_data_loader_is_the_whole_of_its_batches():
    model, loss, x, y = problem(CASES["mlp"])
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    whole = curvature_runner.trace(model, loss, (x, y), progress=False)
    batched = curvature_runner.trace(model, loss, loader, progress=False)
    assert batched.value == pytest.approx(whole.value, rel=1e-12)
    assert 'batches = "all"' in batched.spec


def test_eigenvalues_add_up_to_the_trace():
    model, loss, x, y = problem(CASES["regression"])
    n = sum(p.numel() for p in model.parameters())
    found = curvature_runner.eigenvalues(model, loss, (x, y), n, vectors=True, progress=False)
    trace = curvature_runner.trace(model, loss, (x, y), progress=False)
    assert sum(found.values) == pytest.approx(trace.value, rel=1e-6)
    assert abs(found.values[0]) == max(map(abs, found.values))
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert {name: tuple(v.shape[1:]) for name, v in found.eigenvectors.items()} == shapes


def test_a_density_has_the_mass_of_one():
    model, loss, x, y = problem(CASES["mlp"])
    found = curvature_runner.spectral_density(model, loss, (x, y), V=4, steps=20, progress=False)
    ends = found._table()["eigenvalue"]
    assert (ends[0], ends[-1]) == (min(found.nodes), max(found.nodes)) and ends == sorted(ends)
    assert sum(found.weights) == pytest.approx(1.0)
    assert found.figure.svg.startswith("<svg")


def test_estimators_are_compared():
    model, loss, x, y = problem(CASES["mlp"])
    estimators = ["exact", "propagation", {"kind": "hutchinson", "blocks": "parameter"}]
    found = curvature_runner.compare(model, loss, (x, y), estimators, V=[10, 40], seeds=3, progress=False)
    assert len(found.summary.where(estimator="exact")) == 1
    assert found.summary.where(estimator="hutchinson")["V"] == [10, 40]
    assert found.figure is not None and found.figure.svg in found._repr_html_()
    columns = ["estimator", "V", "mean", "std_error_of_a_run", "rmse_of_a_run", "products", "seconds"]
    assert repr(found).splitlines()[0].split() == columns


def test_a_spec_runs_as_file_and_as_dict(tmp_path, monkeypatch):
    spec = {
        "data": {"source": "synthetic_classification", "samples": 8, "shape": [3], "classes": 2},
        "model": {"layers": [{"kind": "linear", "out": 2}]},
        "loss": {"kind": "cross_entropy"},
    }
    from curvature_runner import toml

    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(toml.dumps(spec))
    as_file = curvature_runner.run("mine.toml", progress=False)
    as_dict = curvature_runner.run(spec, progress=False)
    assert as_file.records["estimate"] == as_dict.records["estimate"]
    assert os.listdir() == ["mine.toml"]


def test_a_task_of_a_job_array_gets_the_whole(monkeypatch):
    model, loss, x, y = problem(CASES["mlp"])
    for name, value in {"ID": "2", "MIN": "1", "MAX": "4", "STEP": "1", "COUNT": "4"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    found = curvature_runner.compare(model, loss, (x, y), ["exact", "propagation"], progress=False)
    assert found.records["estimator"] == ["exact", "propagation"]


def test_a_folder_that_is_kept_keeps_what_was_computed(tmp_path, capfd):
    model, loss, x, y = problem(CASES["mlp"])
    first = curvature_runner.compare(model, loss, (x, y), ["propagation"], V=10, folder=tmp_path, progress=False)
    again = curvature_runner.compare(model, loss, (x, y), ["propagation", "exact"], V=10, folder=tmp_path)
    assert "[1/1] exact" in capfd.readouterr().err
    assert again.records[0]["seconds"] == first.records[0]["seconds"]


def test_errors_are_the_runners(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[model]\nlayers = [{ kind = "linaer", out = 2 }]\n')
    said = runner(path).stderr
    with pytest.raises(RunnerError) as error:
        curvature_runner.run(path, progress=False)
    assert str(error.value) == said[said.index("error:") :].strip()
    assert 'did you mean "linear"' in str(error.value) and error.value.code == 2


def test_progress_is_shown_where_it_is_wanted(capfd):
    model, loss, x, y = problem(CASES["mlp"])
    curvature_runner.trace(model, loss, (x, y))
    assert "exact" in capfd.readouterr().err
    curvature_runner.trace(model, loss, (x, y), progress=False)
    assert capfd.readouterr() == ("", "")


LONG = """
import curvature_runner, signal, sys, torch
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.Tanh(), torch.nn.Linear(300, 10))
x, y = torch.randn(512, 300), torch.randint(10, (512,))
print("begins", flush=True)
try:
    curvature_runner.trace(model, "cross_entropy", (x, y), estimator={"kind": "hutchinson", "V": 100_000_000}, allow_long=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_a_run_of_days_is_refused_unless_it_is_allowed():
    model, _, x, y = problem(CASES["mlp"])
    estimator = {"kind": "hutchinson", "V": 100_000_000_000}
    with pytest.raises(RunnerError, match="(?s)the run is predicted to last about .* --yes runs it all the same"):
        curvature_runner.trace(model, "cross_entropy", (x, y), estimator=estimator, progress=False)


@pytest.mark.parametrize("handler", ["default_int_handler", "SIG_IGN"])
def test_ctrl_c_ends_it_and_leaves_nothing(nothing_left_behind, handler):
    child = subprocess.Popen(
        [sys.executable, "-c", LONG, handler], stdout=subprocess.PIPE, text=True, env=os.environ, start_new_session=True
    )
    assert child.stdout.readline() == "begins\n"
    folder = nothing_left_behind
    # Until the runner is at work: its journal is there. Bounded by the test's own patience alone.
    for _ in range(3000):
        if list(folder.glob("curvature-runner-*/results/journal.jsonl")):
            break
        assert child.poll() is None, "it ended by itself"
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGINT)
    out, _ = child.communicate(timeout=300)
    assert out == "interrupted\n"
    assert not list(folder.glob("curvature-runner-*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_a_table_is_what_a_data_frame_is():
    table = Table(["a", "b"], [{"a": 1, "b": None}, {"a": 2, "b": 0.5}])
    assert table["a"] == [1, 2] and table[1] == {"a": 2, "b": 0.5} and len(table[:1]) == 1
    assert table.where(a=2)["b"] == [0.5]
    assert table.select(x="a").columns == ["x"]
    with pytest.raises(KeyError, match="no column 'c'; there are: a, b"):
        table["c"]


def test_the_launcher_says_that_torch_is_missing(tmp_path):
    package = Path(curvature_runner.__file__).parent
    code = f"import runpy, sys; sys.path[:] = [p for p in sys.path if 'python3' in p and 'site-packages' not in p]; runpy.run_path({str(package / 'launch.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: curvature_runner needs PyTorch, and there is none: pip install torch"


def test_another_torch_than_the_runner_was_built_for_is_refused(tmp_path, monkeypatch):
    (tmp_path / "torch-version").write_text("1.0.0\n")
    monkeypatch.setattr(launch, "BUILT_FOR", tmp_path / "torch-version")
    with pytest.raises(ImportError, match=r"built for PyTorch 1.0.0, found \d+\.\d+\.\d+ in .*pip install torch==1.0.0"):
        launch.environment()


def test_torch_is_the_one_that_is_installed():
    lib = launch.environment()["LD_LIBRARY_PATH"].split(os.pathsep)[0]
    assert Path(lib) == Path(torch.__file__).parent / "lib"
    assert runner("--version").stdout.startswith("runner ")
