"""TOML as specs need it: strings, numbers, lists and nested tables, readable."""

from __future__ import annotations

import json
import math
import re
from typing import Any

WIDTH = 110


def dumps(spec: dict[str, Any]) -> str:
    """A spec as TOML: plain keys, then a section for every table, one for every long table in it, and one for
    every item of a list of tables at the top, such as `[[estimator]]`."""
    lines = [f"{key(name)} = {value(item)}" for name, item in spec.items() if not is_section(item)]
    for name, item in spec.items():
        if isinstance(item, dict):
            long = {k: v for k, v in item.items() if isinstance(v, dict) and len(f"{k} = {value(v)}") > WIDTH}
            lines += ["", f"[{key(name)}]", *entries({k: v for k, v in item.items() if k not in long})]
            for inner, table in long.items():
                lines += ["", f"[{key(name)}.{key(inner)}]", *entries(table)]
        elif is_section(item):
            for table in item:
                lines += ["", f"[[{key(name)}]]", *entries(table)]
    return "\n".join(lines).lstrip("\n") + "\n"


def is_section(item: Any) -> bool:
    return isinstance(item, dict) or (
        isinstance(item, list) and bool(item) and all(isinstance(table, dict) for table in item)
    )


def entries(table: dict[str, Any]) -> list[str]:
    return [f"{key(name)} = {value(item)}" for name, item in table.items()]


def key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def value(item: Any, indent: str = "") -> str:
    """A value on one line where it fits, else a list with an item a line."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        # JSON escapes what TOML escapes, but for the delete character.
        return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(item, float) and not math.isfinite(item):
        return {math.inf: "inf", -math.inf: "-inf"}.get(item, "nan")
    if isinstance(item, (int, float)):
        return repr(item)
    if isinstance(item, dict):
        inner = ", ".join(f"{key(k)} = {value(v, indent)}" for k, v in item.items())
        return "{ " + inner + " }" if inner else "{}"
    if isinstance(item, (list, tuple)):
        nests = any(isinstance(inner, dict) for inner in item)
        line = "[" + ", ".join(value(inner, indent) for inner in item) + "]"
        if not nests or (len(item) == 1 and "\n" not in line and len(indent + line) < WIDTH):
            return line
        deeper = indent + "  "
        return "[\n" + "".join(f"{deeper}{value(inner, deeper)},\n" for inner in item) + indent + "]"
    raise TypeError(f"found {item!r} in a spec, which TOML cannot hold")
