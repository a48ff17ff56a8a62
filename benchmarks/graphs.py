"""One graph, and the file that each tool reads it from.

A generator writes the most direct form that its tool has: no option that slows it down, nothing that it would do for
nobody else. What the tools then do with it is compared by `proof.py`.
"""

import json
from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """`argv` holds plain words (letters, digits, `_`, `/`, `.`): no tool's quoting is needed or measured."""

    id: str
    argv: tuple[str, ...]
    needs: tuple[str, ...]


Graph = tuple[Step, ...]


def layered(layers: int, width: int, argv: Callable[[str], tuple[str, ...]] = lambda id: ("/bin/true",)) -> Graph:
    """`layers` x `width` steps. A step needs two of the layer before: its own column and the next, modulo `width`."""
    steps = []
    for layer in range(layers):
        for column in range(width):
            before = (column, (column + 1) % width) if layer else ()
            needs = tuple(dict.fromkeys(_name(layer - 1, other) for other in before))
            id = _name(layer, column)
            steps.append(Step(id, argv(id), needs))
    return tuple(steps)


def _name(layer: int, column: int) -> str:
    return f"s{layer}_{column}"


def leaves(graph: Graph) -> tuple[str, ...]:
    """The steps that nothing needs: asking a build tool for these asks for all."""
    needed = {need for step in graph for need in step.needs}
    return tuple(step.id for step in graph if step.id not in needed)


# --- stepwave --------------------------------------------------------------------------------------


def stepwave_json(graph: Graph) -> str:
    steps = [
        {"id": step.id, "command": step.argv[0]}
        | ({"args": list(step.argv[1:])} if step.argv[1:] else {})
        | ({"dependsOn": list(step.needs)} if step.needs else {})
        for step in graph
    ]
    return json.dumps({"name": "layers", "version": "1.0.0", "steps": steps}, indent=1) + "\n"


def stepwave_yaml(graph: Graph) -> str:
    lines = ["name: layers", "version: 1.0.0", "steps:"]
    for step in graph:
        lines += [f"  - id: {step.id}", f"    command: {step.argv[0]}"]
        if step.argv[1:]:
            lines.append(f"    args: [{', '.join(step.argv[1:])}]")
        if step.needs:
            lines.append(f"    dependsOn: [{', '.join(step.needs)}]")
    return "\n".join(lines) + "\n"


# --- its peers -------------------------------------------------------------------------------------


def ninja(graph: Graph) -> str:
    """Outputs that are never made: every step is out of date in every run."""
    lines = ["rule run", "  command = $words"]
    for step in graph:
        lines += [f"build {step.id}: run {' '.join(step.needs)}".rstrip(), f"  words = {' '.join(step.argv)}"]
    lines += [f"build all: phony {' '.join(leaves(graph))}", "default all"]
    return "\n".join(lines) + "\n"


def makefile(graph: Graph) -> str:
    """`.SUFFIXES:` and `-r` spare make the search for implicit rules, which is not what is compared."""
    lines = [".SUFFIXES:", f".PHONY: all {' '.join(step.id for step in graph)}", f"all: {' '.join(leaves(graph))}"]
    for step in graph:
        lines += [f"{step.id}: {' '.join(step.needs)}".rstrip(), f"\t@{' '.join(step.argv)}"]
    return "\n".join(lines) + "\n"


def taskfile(graph: Graph) -> str:
    """`run: once`, because Task would else run a task once for each that depends on it."""
    lines = ["version: '3'", "run: once", "silent: true", "tasks:"]
    for step in graph:
        lines += [f"  {step.id}:", f"    cmds: ['{' '.join(step.argv)}']"]
        if step.needs:
            lines.append(f"    deps: [{', '.join(step.needs)}]")
    lines += ["  all:", f"    deps: [{', '.join(leaves(graph))}]"]
    return "\n".join(lines) + "\n"


def justfile(graph: Graph) -> str:
    """`[parallel]` lets the dependencies of a recipe run side by side."""
    lines = ["[parallel]", f"all: {' '.join(leaves(graph))}"]
    for step in graph:
        lines += ["[parallel]"] if len(step.needs) > 1 else []
        lines += [f"{step.id}: {' '.join(step.needs)}".rstrip(), f"    @{' '.join(step.argv)}"]
    return "\n".join(lines) + "\n"


def dodo(graph: Graph) -> str:
    """A list as action is run without a shell."""
    tasks = [{"basename": step.id, "actions": [list(step.argv)], "task_dep": list(step.needs)} for step in graph]
    return "\n".join(["def task_layers():", *(f"    yield {task!r}" for task in tasks)]) + "\n"
