"""Traces and diagonals of models against torch.func."""

from __future__ import annotations

import warnings

import curvature_runner
import pytest
import torch
from models import CASES, diagonals, problem


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.layers])
def test_traces_and_diagonals_are_those_of_torch_func(name):
    model, loss, x, y = problem(CASES[name])
    wanted = diagonals(model, loss, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = curvature_runner.trace(model, loss, (x, y), progress=False)
        diagonal = curvature_runner.diagonal(model, loss, (x, y), progress=False)
    assert sorted(found.layers["parameter"]) == sorted(wanted)
    for row in found.layers:
        parameter = row["parameter"]
        torch.testing.assert_close(row["trace"], wanted[parameter].sum().item(), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(diagonal.tensors[parameter], wanted[parameter].detach(), rtol=1e-9, atol=1e-12)
    whole = sum(d.sum().item() for d in wanted.values())
    torch.testing.assert_close(found.value, whole, rtol=1e-9, atol=0)
    assert found.std_error is None


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.layers])
def test_what_has_no_layers_is_sampled_and_says_so(name):
    model, loss, x, y = problem(CASES[name])
    wanted = diagonals(model, loss, x, y)
    hutchinson = {"kind": "hutchinson", "product": "autodiff", "V": 400}
    with pytest.warns(curvature_runner.FallbackWarning, match="no layer rules"):
        found = curvature_runner.trace(model, loss, (x, y), estimator=hutchinson, progress=False)
    assert sorted(found.layers["parameter"]) == sorted(wanted)
    for row in found.layers:
        error = row["trace"] - wanted[row["parameter"]].sum().item()
        assert abs(error) < 5 * row["std_error"] + 1e-12, row
    assert abs(found.value - sum(d.sum().item() for d in wanted.values())) < 4 * found.std_error
    assert "no layer rules" in found.notes[0]
    low, high = found.interval
    assert low < found.value < high
    value, half = str(found).split(" ± ")
    assert float(half) == float(f"{(high - low) / 2:.2g}")
    # As many decimals as the half.
    assert value == f"{found.value:.{len(half.split('.')[1])}f}"


def test_the_fallback_takes_its_best_way_by_itself():
    model, loss, x, y = problem(CASES["shared attention"])
    with pytest.warns(curvature_runner.FallbackWarning):
        found = curvature_runner.trace(model, loss, (x, y), rtol=0.15, progress=False)
    whole = sum(d.sum().item() for d in diagonals(model, loss, x, y).values())
    assert abs(found.value - whole) < 4 * found.std_error
    assert any("autodiff" in note and "TorchScript" in note for note in found.notes)
