"""The notebook of the examples runs, and says what its text says."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quantisation.ipynb"


def test_layers_of_small_trace_bear_rounding():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    percent = {words: float(said.split(words)[1].split(": ")[1].split(" %")[0]) for words in ("least", "most")}
    assert percent["least"] > percent["most"], said
