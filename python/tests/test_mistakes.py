"""What a PyTorch user may do wrong: a clear exception, or the right result all the same."""

from __future__ import annotations

import copy

import curvature_runner
import pytest
import torch
from curvature_runner import RunnerError
from torch import nn

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def mlp(*more: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), *more, nn.Linear(5, 3))


def trace(model, loss="cross_entropy", data=(X, Y), **options):
    return curvature_runner.trace(model, loss, data, progress=False, **options)


def test_a_model_on_another_device_is_copied():
    if not torch.cuda.is_available():
        # What matters is that nothing takes a tensor to be on the CPU: none is changed or asked to be.
        model = mlp()
        before = [p.data_ptr() for p in model.parameters()]
        trace(model)
        assert [p.data_ptr() for p in model.parameters()] == before
        pytest.skip("no CUDA device")
    assert trace(mlp().cuda(), data=(X.cuda(), Y.cuda())).value == pytest.approx(trace(mlp()).value, rel=1e-4)


def test_training_mode_is_refused_where_it_matters_and_kept():
    with pytest.raises(ValueError, match=r'module "2" \(Dropout\) is in training mode.*model.eval\(\)'):
        trace(mlp(nn.Dropout(0.5)))
    model = mlp()
    assert model.training
    trace(model)
    assert model.training and model[0].training


def test_integer_inputs_are_refused():
    with pytest.raises(ValueError, match="found x of dtype torch.int64 and shape .*which the model does not take"):
        trace(mlp(), data=(torch.ones(6, 4, dtype=torch.int64), Y))


def test_labels_out_of_range_are_named():
    with pytest.raises(RunnerError, match="found label 3 at sample 5, expected 0 to 2"):
        trace(mlp(), data=(X, torch.tensor([0, 1, 2, 0, 1, 3])))


def test_a_loss_without_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction='none'.*expected 'mean' or 'sum'"):
        trace(mlp(), nn.CrossEntropyLoss(reduction="none"))


def test_an_unknown_loss_is_refused():
    with pytest.raises(TypeError, match="type L1Loss, expected one of: CrossEntropyLoss"):
        trace(mlp(), nn.L1Loss())
    with pytest.raises(ValueError, match="found the loss 'l1', expected one of"):
        trace(mlp(), "l1")


def test_tensors_that_are_not_contiguous_are_right():
    model = mlp()
    other = copy.deepcopy(model)
    other[0].weight = nn.Parameter(model[0].weight.detach().t().contiguous().t())
    assert not other[0].weight.is_contiguous()
    wide = torch.stack([X, X], dim=2)[:, :, 0]
    assert not wide.is_contiguous()
    assert trace(other, data=(wide, Y)).value == trace(model).value


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    model = mlp().to(dtype)
    found = trace(model, data=(X.to(dtype), Y))
    assert found.value == trace(model.float(), data=(X.to(dtype).float(), Y)).value
    assert 'dtype = "float32"' in found.spec


def test_shared_parameters_are_counted_once():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), shared, nn.Tanh(), shared)
    with pytest.warns(curvature_runner.FallbackWarning, match="used more than once"):
        found = trace(model, estimator={"kind": "hutchinson", "product": "autodiff", "V": 10})
    assert found.layers["parameter"] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_lazy_modules_are_refused_until_they_have_seen_a_batch():
    model = nn.Sequential(nn.LazyLinear(5), nn.Tanh(), nn.Linear(5, 3))
    with pytest.raises(ValueError, match="0.weight has no shape yet.*call the model once"):
        trace(model)
    model(X)
    assert trace(model).value > 0


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="found an empty batch"):
        trace(mlp(), data=(X[:0], Y[:0]))
    with pytest.raises(ValueError, match="found an empty batch"):
        trace(mlp(), data=[])


def test_inputs_and_targets_are_as_many():
    with pytest.raises(ValueError, match="found 6 inputs and 5 targets, expected as many"):
        trace(mlp(), data=(X, Y[:5]))
    with pytest.raises(ValueError, match="found 3 inputs and 2 targets"):
        trace(mlp(), data=[(X[:3], Y[:3]), (X[3:], Y[3:5])])


def test_wrappers_of_training_are_looked_through():
    found = trace(nn.DataParallel(mlp()))
    assert found.value == trace(mlp()).value
    assert found.layers["parameter"][0] == "0.weight"


def test_frozen_parameters_are_counted_and_told_of():
    model = mlp()
    model[0].requires_grad_(False)
    found = trace(model)
    assert found.value == trace(mlp()).value and len(found.layers) == 4
    assert any("those 2 too that have requires_grad = False (0.weight" in note for note in found.notes)


def test_what_is_not_finite_is_an_error_that_loses_nothing():
    model = mlp()
    with torch.no_grad():
        model[2].weight.fill_(3e38)
    estimators = ["exact", "propagation"]
    with pytest.raises(RunnerError, match="^warning: the estimate is NaN: exact; look for NaN in data") as error:
        curvature_runner.compare(model, "mse", (X, torch.zeros(6, 3)), estimators, progress=False)
    assert error.value.code == 1 and "[1/2]" not in str(error.value)
    assert error.value.result.records["estimator"] == estimators


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match=r"expected \(x, y\), or a DataLoader"):
        trace(mlp(), data=X)
    with pytest.raises(TypeError, match=r"batch of type Tensor"):
        trace(mlp(), data=[X, X, X])


def test_a_model_without_parameters_and_what_is_no_model():
    with pytest.raises(ValueError, match="no parameters, so there is no Hessian"):
        trace(nn.Sequential(nn.Flatten()))
    with pytest.raises(TypeError, match="found a int as the model"):
        trace(3)


def test_an_estimator_that_the_fallback_has_not_is_refused_in_the_runners_words():
    class Sort(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return torch.sort(self.layer(x), dim=1)[0]

    with pytest.warns(curvature_runner.FallbackWarning, match=r"sort.*torch.sort\(self.layer\(x\), dim=1\)"):
        with pytest.raises(RunnerError, match="found exact, which needs layer rules"):
            trace(Sort(), estimator="exact")


def test_a_module_that_nothing_can_express_says_what_to_do():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            z = self.layer(x)
            return z if x.sum() > 0 else -z

    with pytest.raises(curvature_runner.Unsupported, match="computes something else than the module"):
        trace(Branching(), data=(X.abs(), Y))
