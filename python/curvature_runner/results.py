"""What comes back: numbers, tables and figures, read from the runner's files."""

from __future__ import annotations

import bisect
import csv
import html
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import torch
from safetensors.torch import load_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHARES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
"""Of a spectral density, what is shown in text."""

Cell = Union[float, int, str, bool, None]
Row = dict[str, Cell]


class Table(Sequence[Row]):
    """Rows with named columns: `table["trace"]` is a column, `table[0]` a row, `table.where(...)` some rows.

    Shows as a table in a notebook; `to_pandas()` makes a DataFrame.
    """

    def __init__(self, columns: list[str], rows: list[Row]):
        self.columns = columns
        self._rows = rows

    @classmethod
    def read(cls, path: Path) -> Table:
        """A CSV file of the runner; an empty cell is None."""
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [{key: cell(text) for key, text in row.items()} for row in reader]
            return cls(list(reader.fieldnames or []), rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"no column {key!r}; there are: {', '.join(self.columns)}")
            return [row[key] for row in self._rows]
        if isinstance(key, slice):
            return Table(self.columns, self._rows[key])
        return self._rows[key]

    def where(self, **values: Cell) -> Table:
        """The rows that have these values."""
        rows = [row for row in self._rows if all(row[key] == value for key, value in values.items())]
        return Table(self.columns, rows)

    def select(self, *columns: str, **renamed: str) -> Table:
        """Some columns; `trace="estimate"` takes `estimate` under the name `trace`."""
        names = {name: name for name in columns} | renamed
        rows = [{name: row[column] for name, column in names.items()} for row in self._rows]
        return Table(list(names), rows)

    def to_pandas(self) -> Any:
        """A pandas DataFrame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self._rows, columns=self.columns)

    def __repr__(self) -> str:
        cells = [self.columns] + [[shown(row[c]) for c in self.columns] for row in self._rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in cells)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in self.columns)
        lines = "".join(
            "<tr>" + "".join(f"<td>{html.escape(shown(row[c]))}</td>" for c in self.columns) + "</tr>"
            for row in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def cell(text: str | None) -> Cell:
    if not text:
        return None
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def shown(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Figure:
    """A figure as SVG; it shows itself in a notebook."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> None:
        """Writes the SVG."""
        Path(path).write_text(self.svg, encoding="utf-8")


@dataclass(frozen=True, repr=False)
class Result:
    """Everything that a run gives.

    Attributes:
        spec: The TOML that reproduces it, beside `model.safetensors` (or `model.pt`) and `data.safetensors`,
            which a call with `folder=...` keeps.
        records: A row per estimate.
        parameters: A row per estimate and parameter.
        summary: Over seeds and repetitions.
        tables: These and whatever else was written, by name.
        figures: By name.
        diagonals: Tensors by the names of the state_dict, for every estimator that gives a diagonal.
        vectors: Eigenvectors likewise, where they were asked for.
        notes: What a reader should know, such as which estimator was taken and why.
        report: The page with all of it, HTML.
    """

    spec: str
    records: Table
    parameters: Table
    summary: Table
    tables: dict[str, Table]
    figures: dict[str, Figure]
    diagonals: dict[str, dict[str, torch.Tensor]]
    vectors: dict[str, dict[str, torch.Tensor]]
    notes: list[str]
    report: str

    @property
    def figure(self) -> Figure | None:
        """The one that answers the question best; None where there is none."""
        order = ("density", "trajectory", "layers", "convergence", "timing", "error_products", "variance")
        return next((self.figures[name] for name in order if name in self.figures), None)

    def __repr__(self) -> str:
        return "\n".join(part for part in (self._headline(), repr(self._table()), *self.notes) if part)

    def _repr_html_(self) -> str:
        figure = self.figure.svg if self.figure else ""
        head, *notes = (f"<p>{html.escape(text)}</p>" if text else "" for text in (self._headline(), *self.notes))
        return f"{head}{self._table()._repr_html_()}{figure}{''.join(notes)}"

    def _headline(self) -> str:
        return ""

    def _table(self) -> Table:
        """What tells the rows of the summary from each other, and what they found."""
        identity = self.summary.columns[: self.summary.columns.index("runs")] if self.summary.columns else []
        differs = [name for name in identity if len(set(self.summary[name]) - {None}) > 1]
        telling = [name for name in identity if name in ("estimator", "V") or name in differs]
        # What is of one run and not of their mean says so.
        found = {"mean": "mean", "std_error_of_a_run": "std_error", "rmse_of_a_run": "rmse"}
        found |= {"products": "products", "seconds": "seconds"}
        known = {name: column for name, column in found.items() if any(self.summary[column])}
        return self.summary.select(*telling, **known)


@dataclass(frozen=True, repr=False)
class Trace(Result):
    """A trace.

    Attributes:
        value: The trace of the whole.
        std_error: Its standard error; None where it is exact, or where the estimator gives none.
        interval: Its 95 % confidence interval; None where there is no standard error.
        layers: A row per parameter, by its name in the state_dict: parameter, numel, trace, std_error.
    """

    value: float = 0.0
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    layers: Table = field(default_factory=lambda: Table([], []))

    def _headline(self) -> str:
        return f"trace {self}"

    def _table(self) -> Table:
        return self.layers

    def __str__(self) -> str:
        """The value ± half of its 95 % interval, as the runner writes it everywhere."""
        if self.interval is None:
            return f"{self.value:.6g}"
        low, high = self.interval
        half = (high - low) / 2
        # Two digits of the half, and as many decimals of the value.
        places = 1 - math.floor(math.log10(half)) if half > 0 else 6
        if 0 <= places <= 6:
            return f"{self.value:.{places}f} ± {half:.{places}f}"
        return f"{self.value:.6g} ± {half:.2g}"


@dataclass(frozen=True, repr=False)
class Diagonal(Result):
    """A diagonal.

    Attributes:
        tensors: Its entries by the names of the state_dict, each in the parameter's shape, float64.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def _table(self) -> Table:
        columns = ["parameter", "numel", "trace", "smallest", "largest"]
        tensors = self.tensors.items()
        cells = [(k, t.numel(), t.sum().item(), t.min().item(), t.max().item()) for k, t in tensors]
        return Table(columns, [dict(zip(columns, row)) for row in cells])


@dataclass(frozen=True, repr=False)
class Eigenvalues(Result):
    """Eigenvalues.

    Attributes:
        values: In the order that was asked for.
        residuals: `‖A u − λ u‖` of each.
        eigenvectors: One set of tensors by state_dict name, a leading axis counting the values; None unless asked for.
    """

    values: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    eigenvectors: dict[str, torch.Tensor] | None = None

    def _table(self) -> Table:
        return self.tables["eigenvalues"].select("index", "eigenvalue", "residual", "converged")


@dataclass(frozen=True, repr=False)
class SpectralDensity(Result):
    """A spectral density, as Gauss nodes with weights: the share of eigenvalues near each.

    Attributes:
        nodes: Where.
        weights: How much; those of a probe add up to 1, so all divided by the probes.
    """

    nodes: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def _headline(self) -> str:
        return f"{len(self.nodes)} nodes of quadrature; the share of eigenvalues that lies at or below a value:"

    def _table(self) -> Table:
        """The nodes at which the weights from the smallest node on add up to some shares."""
        nodes = sorted(zip(self.nodes, self.weights))
        below = list(itertools.accumulate(weight for _, weight in nodes))
        # Rounding keeps the sum of all weights just off 1.
        found = ((share, bisect.bisect_left(below, share * below[-1] - 1e-9)) for share in SHARES)
        return Table(["share", "eigenvalue"], [{"share": s, "eigenvalue": nodes[i][0]} for s, i in found])


def read(out: Path, spec: str, notes: list[str]) -> dict[str, Any]:
    """The fields of a [`Result`] from a results folder."""
    tables = {path.stem: Table.read(path) for path in sorted(out.glob("*.csv"))}
    empty = Table([], [])
    return {
        "spec": spec,
        "records": tables.get("records", empty),
        "parameters": tables.get("parameters", empty),
        "summary": tables.get("summary", empty),
        "tables": tables,
        "figures": {p.stem: Figure(p.read_text(encoding="utf-8")) for p in sorted(out.glob("*.svg"))},
        "diagonals": {p.stem: load_file(p) for p in sorted(out.glob("diagonals/*.safetensors"))},
        "vectors": {p.stem: load_file(p) for p in sorted(out.glob("*.safetensors"))},
        "notes": notes + noted(out / "manifest.toml"),
        "report": (out / "report.html").read_text(encoding="utf-8"),
    }


def noted(manifest: Path) -> list[str]:
    return tomllib.loads(manifest.read_text(encoding="utf-8"))["manifest"].get("notes", [])
