"""From a graph of layers to nested lists of them."""

from __future__ import annotations

from collections import defaultdict

from ..layers import Layer, Unsupported
from .nodes import Node, before


class Nesting:
    """The layers of a graph: a chain in which parts may branch from one value and meet again."""

    def __init__(self, start: Node, end: Node):
        self.start, self.end = start, end
        self.taken: set[Node] = set()
        self.users: dict[Node, list[Node]] = defaultdict(list)
        for node in before(end):
            for value in dict.fromkeys(node.inputs):
                self.users[value].append(node)

    def layers(self) -> list[Layer]:
        return self.chain(self.start, self.end)

    def chain(self, start: Node, end: Node) -> list[Layer]:
        """The layers that lead from the value of `start` to that of `end`."""
        layers: list[Layer] = []
        region = set(before(end))
        if start not in region:
            raise Unsupported(end.place, "does not depend on the value that its branch starts at")
        while start is not end:
            users = [user for user in self.users[start] if user in region]
            if len(users) == 1 and not users[0].is_join:
                start = users[0]
                layers.append(self.layer(start))
            else:
                join = self.meeting(start, end, region)
                layers.append(self.branches(start, join))
                start = join
        return layers

    def layer(self, node: Node) -> Layer:
        """The layer of a node; what stands in several branches is computed in each, so that it has no weights."""
        if node.weights and node in self.taken:
            raise Unsupported(node.place, "is used in several branches that do not begin with it, which no nesting can say")
        self.taken.add(node)
        return Layer(node.spec, node)

    def meeting(self, start: Node, end: Node, region: set[Node]) -> Node:
        """The first node after `start` through which all paths to `end` lead."""
        waiting = {start: sum(user in region for user in self.users[start])}
        for node in sorted(region, key=lambda node: node.number):
            inputs = [value for value in dict.fromkeys(node.inputs) if value in waiting]
            if node is start or not inputs:
                continue
            for value in inputs:
                waiting[value] -= 1
            waiting[node] = sum(user in region for user in self.users[node])
            if node is end or all(n is node or count == 0 for n, count in waiting.items()):
                return node
        raise AssertionError("every path leads to the end")

    def branches(self, start: Node, join: Node) -> Layer:
        if not join.is_join:
            why = f"takes in several values that began at {start.place or 'the samples'}, and is no join of them"
            raise Unsupported(join.place, why)
        lists = [self.chain(start, value) for value in join.inputs]
        if join.spec["kind"] != "add" or len(lists) != 2:
            dim = {"dim": join.spec["dim"]} if join.spec.get("dim", 1) != 1 else {}
            named = [(f"branches.{i}", layers) for i, layers in enumerate(lists)]
            return Layer({"kind": "parallel", "combine": join.spec["kind"]} | dim, None, named)
        body, shortcut = lists if all(lists) else sorted(lists, key=len, reverse=True)
        named = [("body", body)] + ([("shortcut", shortcut)] if shortcut else [])
        return Layer({"kind": "residual"}, None, named)
