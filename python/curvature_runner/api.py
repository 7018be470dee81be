"""Questions about the curvature of a model's loss, one function each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union

from torch import Tensor, nn

from . import problem, process, results, toml
from .export import Exported
from .problem import Data, Loss
from .results import Diagonal, Eigenvalues, Result, SpectralDensity, Trace

Estimator = Union[str, dict[str, Any]]
"""The name of an estimator, or an `[[estimator]]` of a spec as a dict: `{"kind": "xtrace", "V": 300}`."""


def trace(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    estimator: Estimator | None = None,
    rtol: float | None = None,
    seed: int = 0,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> Trace:
    """The trace of the Hessian of the loss with respect to the parameters, in all and per parameter.

    Args:
        model: In evaluation mode where that makes a difference. It stays as it is.
        loss: CrossEntropyLoss, MSELoss or BCEWithLogitsLoss with reduction "mean" or "sum", or its name.
        data: `(x, y)`, or a DataLoader or other iterable of such pairs: the loss of all of them together,
            computed batch by batch. All of it is written to the folder.
        estimator: How; absent: the best way that the model allows, as the notes of the result say.
        rtol: The relative error that is allowed, at 95 % confidence. Absent: 1 % where that is cheap, 5 % for a
            model without layer rules, none where the exact trace is taken.
        seed: Of the random probes.
        device: "auto", "cpu", "cuda" or "cuda:1", whatever device the model is on.
        folder: Keeps spec, weights, data and all results there; absent: nothing is left on the disk.
        progress: Whether to say how far it is, on `sys.stderr`.
        allow_long: Whether a run may begin that is predicted to last over an hour; `--yes` on the command line.

    Returns:
        The trace, with a row per parameter by the names of `model.state_dict()`.

    Raises:
        RunnerError: What the runner refuses, in its words, or an estimate that is not finite.
        TypeError, ValueError: What is wrong with model, loss or data before it comes to that.
    """
    spec = asked([] if estimator is None else [estimator], rtol=rtol, seed=seed, device=device)
    fields = answer(model, loss, data, spec, (folder, progress, allow_long))
    record = fields["records"][-1]
    layers = fields["parameters"].where(estimator=record["estimator"])
    last = [row for row in layers if row["V"] == record["V"]]
    table = results.Table(layers.columns, last)
    return Trace(
        **fields,
        value=record["estimate"],
        std_error=record["std_error"],
        interval=None if record["ci_low"] is None else (record["ci_low"], record["ci_high"]),
        layers=table.select("parameter", "numel", trace="estimate", std_error="std_error"),
    )


def diagonal(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    estimator: Estimator | None = None,
    seed: int = 0,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> Diagonal:
    """The diagonal of the Hessian, a tensor of its shape per parameter: for pruning or quantisation.

    Exact for models with layer rules; by XDiag with 300 products for others. `estimator` may be `"bekas"`,
    `"diagpp"` or `"xdiag"`, which sample it, for `V` products: `{"kind": "bekas", "V": 1000}`.

    Arguments and exceptions are those of [`trace`][curvature_runner.trace].
    """

    def chosen(section: dict[str, Any]) -> list[Estimator]:
        if estimator is not None:
            return [estimator]
        if "torchscript" in section:
            return [{"kind": "xdiag", "product": "autodiff"}]
        return [{"kind": "exact", "diagonal": True}]

    spec = asked([], seed=seed, device=device)
    fields = answer(model, loss, data, spec, (folder, progress, allow_long), chosen)
    if not fields["diagonals"]:
        raise ValueError(f"found the estimator {estimator!r}, which gives no diagonal; take 'xdiag' or leave it out")
    tensors = next(iter(fields["diagonals"].values()))
    # A file of tensors has them by name, the model in its own order.
    in_order = [name for name, _ in model.named_parameters() if name in tensors]
    return Diagonal(**fields, tensors={name: tensors[name] for name in dict.fromkeys([*in_order, *tensors])})


def eigenvalues(
    model: nn.Module,
    loss: Loss,
    data: Data,
    k: int = 10,
    *,
    which: Literal["magnitude", "largest", "smallest"] = "magnitude",
    vectors: bool = False,
    seed: int = 0,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> Eigenvalues:
    """The `k` eigenvalues of the Hessian of largest magnitude or at one end, by block Lanczos.

    With `vectors`, eigenvectors too, as tensors by the names of the state_dict with a leading axis of length k.
    Other arguments and exceptions are those of [`trace`][curvature_runner.trace].
    """
    lanczos = {"kind": "lanczos", "k": k, "which": which, "vectors": vectors}
    spec = asked([], seed=seed, device=device)
    fields = answer(model, loss, data, spec, (folder, progress, allow_long), over_products(lanczos))
    table = fields["tables"]["eigenvalues"]
    return Eigenvalues(
        **fields,
        values=table["eigenvalue"],
        residuals=table["residual"],
        eigenvectors=next(iter(fields["vectors"].values()), None),
    )


def spectral_density(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    V: int = 10,
    steps: int = 80,
    seed: int = 0,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> SpectralDensity:
    """The density of the Hessian's eigenvalues, by stochastic Lanczos quadrature: `V` probes, `steps` each.

    Other arguments and exceptions are those of [`trace`][curvature_runner.trace].
    """
    slq = {"kind": "slq", "V": V, "steps": steps}
    spec = asked([], seed=seed, device=device)
    fields = answer(model, loss, data, spec, (folder, progress, allow_long), over_products(slq))
    table = fields["tables"]["density"]
    weights = [weight / V for weight in table["weight"]]
    return SpectralDensity(**fields, nodes=table["node"], weights=weights)


def compare(
    model: nn.Module,
    loss: Loss,
    data: Data,
    estimators: Sequence[Estimator],
    *,
    V: int | Sequence[int] | None = None,
    seeds: int = 1,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> Result:
    """Several estimators on one model: `result.summary` has a row for each, with error and seconds.

    Args:
        estimators: Names or dicts: `["exact", "propagation", {"kind": "hutchinson", "blocks": "parameter"}]`.
        V: Numbers of probes; absent: what is usual for each estimator.
        seeds: How many seeds each is run with: 0, 1, ... In a spec, `seeds = 5` is the one seed 5.

    Other arguments and exceptions are those of [`trace`][curvature_runner.trace].
    """
    spec = asked(estimators, device=device)
    if not estimators:
        raise ValueError("found no estimators to compare, expected some such as ['exact', 'propagation']")
    if V is not None:
        spec["sampling"]["V"] = V if isinstance(V, int) else list(V)
    spec["sampling"]["seeds"] = {"from": 0, "count": seeds}
    return Result(**answer(model, loss, data, spec, (folder, progress, allow_long)))


def run(
    spec: Path | str | dict[str, Any],
    *,
    folder: Path | str | None = None,
    progress: bool = True,
    allow_long: bool = False,
) -> Result:
    """Runs a spec: a file, or a dict of what it would say, in which paths are relative to the current folder.

    `folder` keeps the results; absent: nothing is left on the disk. Exceptions are those of
    [`trace`][curvature_runner.trace].
    """
    with scratch(folder) as place:
        out = place if folder is not None else place / "out"
        if isinstance(spec, dict):
            text = toml.dumps({"name": "spec"} | spec)
            # Beside the current folder's files, to which its paths are relative, but not among them.
            path = place / "spec.toml"
            path.write_text(toml.dumps({"name": "spec"} | absolute(spec)), encoding="utf-8")
        else:
            path = Path(spec)
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return Result(**ran(path, out, text, [], progress, allow_long))


def asked(estimators: Sequence[Estimator], **sampling: Any) -> dict[str, Any]:
    """The part of a spec that says what is asked."""
    device = sampling.pop("device")
    found = {"rtol": sampling.get("rtol"), "seeds": sampling.get("seed")}
    found = {key: value for key, value in found.items() if value is not None}
    tables = [{"kind": e} if isinstance(e, str) else dict(e) for e in estimators]
    return {"device": device, "sampling": found} | ({"estimator": tables} if tables else {})


def over_products(estimator: dict[str, Any]) -> Any:
    """The estimator with the products that the model allows."""
    return lambda section: [estimator | ({"product": "autodiff"} if "torchscript" in section else {})]


def answer(
    model: nn.Module,
    loss: Loss,
    data: Data,
    spec: dict[str, Any],
    how: tuple[Path | str | None, bool, bool],
    chosen: Any = None,
) -> dict[str, Any]:
    """Writes the problem, runs the spec, and reads the results: the fields of a [`Result`].

    `how` is folder, progress and allow_long of the functions above.
    """
    folder, progress, allow_long = how
    with scratch(folder) as place:
        written, notes, layers = problem.write(model, loss, data, place)
        spec = {"name": type(model).__name__.lower()} | spec | written
        if chosen is not None:
            spec["estimator"] = [{"kind": e} if isinstance(e, str) else e for e in chosen(spec["model"])]
        # Sections in the order in which one reads them.
        order = ("name", "device", "dtype", "data", "model", "loss", "sampling", "estimator")
        text = toml.dumps({key: spec[key] for key in order if spec.get(key)})
        (place / "spec.toml").write_text(text, encoding="utf-8")
        fields = ran(place / "spec.toml", place / "results", text, notes, progress, allow_long)
        if layers is not None:
            for kind in ("diagonals", "vectors"):
                fields[kind] = {name: as_in_model(layers, tensors) for name, tensors in fields[kind].items()}
        return fields


def as_in_model(layers: Exported, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by parameter, or lists of them along a leading axis, in the shapes that the model has."""
    return {name: layers.restore(name, values) for name, values in tensors.items()}


def ran(
    path: Path, out: Path, text: str, notes: list[str], progress: bool, allow_long: bool
) -> dict[str, Any]:
    """Runs the spec at `path`, of this text: the fields of a [`Result`]."""
    try:
        process.run([path, "--out", out], progress, allow_long)
    except process.RunnerError as error:
        # Some jobs may have failed, which is no reason to lose the others.
        if error.code == 1 and (out / "report.html").is_file():
            error.result = Result(**results.read(out, text, notes))
        raise
    return results.read(out, text, notes)


@contextmanager
def scratch(folder: Path | str | None) -> Iterator[Path]:
    """The folder, made if it is not there, or one that is gone afterwards."""
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="curvature-runner-") as place:
        yield Path(place)


def absolute(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with absolute paths, for a file that lies elsewhere."""

    def path(text: Any) -> Any:
        return [path(item) for item in text] if isinstance(text, list) else str(Path(text).absolute())

    keys = {"data": ("root", "path", "x", "y"), "model": ("weights", "torchscript")}
    found = dict(spec)
    for section, names in keys.items():
        if isinstance(spec.get(section), dict):
            table = spec[section]
            found[section] = {k: path(v) if k in names else v for k, v in table.items()}
    return found
