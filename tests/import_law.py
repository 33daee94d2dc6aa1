"""The import law of the package, read from its syntax trees: floors, circles, safety, size.

`violations(package)` returns one sentence for each breach; `tests/test_layers.py` asserts that
rnnmft has none and that each kind is found where it is planted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

# Imports only go down: from a unit (a file or folder directly under the package) to a lower floor.
FLOORS = {
    "errors": 1,
    "activations": 1,
    "page": 1,
    "content": 2,
    "deadline": 2,
    "input_data": 2,
    "correlation": 2,
    "parameters": 2,
    "records": 2,
    "expectation": 2,
    "dirac_deltas": 3,
    "closed_forms": 4,
    "regression": 3,
    "language": 3,
    "sampling": 3,
    "numerics": 4,
    "theory": 5,
    "tracing": 5,
    "cells": 6,
    "parts": 6,
    "campaigns": 3,
    "simulation": 5,
    "units": 6,
    "solvers": 7,
    "spectra": 8,
    "eigenvalues": 9,
    "lyapunov": 9,
    "analysis": 10,
    "validation": 11,
    "rest": 11,
    "initialization": 11,
    "diagnosis": 12,
    "report": 12,
    "experiments": 12,
    "explorer": 13,
    "gallery": 13,
    "cli": 14,
    "__main__": 15,
    "__init__": 15,
}

# SymPy in, SymPy out: no numbers on these floors.
SYMBOLIC = ("errors", "activations", "parameters", "expectation", "closed_forms", "regression")
SYMBOLIC += ("dirac_deltas", "language", "cells", "theory")
NUMERIC = ("numpy", "scipy", "torch")

# What an import inside a function may keep lazy, itself or inside a file of the package.
HEAVY = {
    "contourpy",
    "jinja2",
    "latex2mathml",
    "markupsafe",
    "matplotlib",
    "mpmath",
    "numpy",
    "rich",
    "scipy",
    "sklearn",
    "sympy",
}
HEAVY |= {"torch", "xarray"}
HEAVY |= {"distributed", "threadpoolctl", "zarr"}

# (module, imported module): why this breach of the law is right.
ALLOWED = {
    ("rnnmft.expectation", "rnnmft.closed_forms"): (
        "SymPy's own protocol is node.doit(); a registry filled at import would make the result "
        "depend on what else was imported"
    ),
}

# A file that is longer than this holds two ideas, a function that is longer does two things; lines
# of a function's body, without its docstring.
FILE_LINES, FUNCTION_LINES = 350, 50
# A room that is larger than this part of the package is two.
LARGEST_ROOM = 1 / 6
# Why these may be longer, by how much.
LONGER = {
    "rnnmft.language.grammar": (370, "one grammar: a reader wants its rules on one page"),
    "rnnmft.theory.derivation._steps": (75, "a derivation is one text, step after step"),
    "rnnmft.theory.tied._steps": (80, "a derivation is one text, step after step"),
}


@dataclass(frozen=True)
class Import:
    """One import statement's target, where it stands and how it is guarded."""

    target: str
    line: int
    in_function: bool
    typing_only: bool


@dataclass(frozen=True)
class Source:
    """What the text of a file says by itself.

    `imports` are (module, name imported from it or "", line, in a function, for types only);
    `breaches` are those of its form, its safety and its size; `classes` are its classes' names.
    """

    imports: tuple[tuple[str, str, int, bool, bool], ...]
    breaches: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass
class Module:
    """A module of the package."""

    name: str
    unit: str
    text: str
    source: Source
    imports: list[Import] = field(default_factory=list)
    loads: set[str] = field(default_factory=set)


def modules(package: Path) -> dict[str, Module]:
    """All modules below the folder `package`, by dotted name, with their imports resolved."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, parts[1], text, _source(name, parts[1], text))
    for module in found.values():
        for base, name, *where in module.source.imports:
            whole = f"{base}.{name}"
            module.imports.append(Import(whole if whole in found else base, *where))
    _add_loads(found)
    return found


def violations(package: Path) -> list[str]:
    """Every breach of the law in the package, one sentence each."""
    found = modules(package)
    declared = HEAVY | {"typer", package.name}
    said = []
    for module in found.values():
        said += module.source.breaches
        for one in module.imports:
            if (module.name, one.target) not in ALLOWED:
                said += [
                    f"{module.name}:{one.line}: {sentence}"
                    for sentence in _import_breaches(module, one, found, declared)
                ]
    return list(dict.fromkeys(said + _circles(found)))


@cache
def _source(name: str, unit: str, text: str) -> Source:
    """Read a file once, however often the package is asked for; its tree is not kept."""
    tree = ast.parse(text, name)
    imports: list[tuple[str, str, int, bool, bool]] = []

    def visit(node: ast.AST, in_function: bool, typing_only: bool) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            in_function = True
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                visit(child, in_function, True)
            for child in node.orelse:
                visit(child, in_function, typing_only)
            return
        where = in_function, typing_only
        if isinstance(node, ast.Import):
            imports.extend((alias.name, "", node.lineno, *where) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            imports.extend((base, alias.name, node.lineno, *where) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child, *where)

    visit(tree, False, False)
    breaches = [
        *_form(name, unit, text, tree),
        *_safety(name, unit, tree),
        *_size(name, text, tree),
    ]
    classes = tuple(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return Source(tuple(imports), tuple(breaches), classes)


def _add_loads(found: dict[str, Module]) -> None:
    """The heavy libraries that importing each module of the package loads, parents included."""
    targets: dict[str, set[str]] = {}
    for name, module in found.items():
        parents = {name.rsplit(".", n)[0] for n in range(1, name.count("."))}
        loaded = {o.target for o in module.imports if not o.in_function and not o.typing_only}
        targets[name] = (loaded | parents) & set(found)
        module.loads = {target.split(".")[0] for target in loaded} & HEAVY
    grown = True
    while grown:
        grown = False
        for name, module in found.items():
            loads = module.loads.union(*(found[target].loads for target in targets[name]))
            grown, module.loads = grown or loads != module.loads, loads


def _import_breaches(
    module: Module, one: Import, found: dict[str, Module], declared: set[str]
) -> Iterator[str]:
    top, *rest = one.target.split(".")
    if not top:
        yield "relative import; write the whole name"
        return
    if top not in declared and top not in sys.stdlib_module_names:
        yield f"imports {top}, which is not a declared dependency"
    if top in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
        yield f"imports {one.target}, which unpickles"
    if module.unit in SYMBOLIC and top in NUMERIC:
        yield f"imports {top}; {module.unit} is symbolic"
    if top == module.name.split(".")[0]:
        yield from _floor_breaches(module, one, rest)
    if one.in_function and not one.typing_only:
        known = found.get(one.target)
        brings = {top} & HEAVY if known is None else known.loads - module.loads
        if not brings:
            yield f"imports {one.target} inside a function, which keeps no heavy library lazy"


def _floor_breaches(module: Module, one: Import, rest: list[str]) -> Iterator[str]:
    if module.unit == "__init__":
        return
    if not rest:
        yield "imports from the public face; import from the file that has it"
        return
    unit = rest[0]
    if unit not in FLOORS:
        yield f"imports {one.target}, which has no floor"
    elif unit != module.unit and FLOORS[unit] >= FLOORS.get(module.unit, 0):
        yield (
            f"imports {one.target}: {unit} is on floor {FLOORS[unit]}, "
            f"not below {module.unit} on floor {FLOORS.get(module.unit)}"
        )


def _form(name: str, unit: str, text: str, tree: ast.Module) -> Iterator[str]:
    if unit not in FLOORS:
        yield f"{name}: {unit} has no floor in tests/import_law.py"
    if not text.startswith(('"""', 'r"""')) or ast.get_docstring(tree) is None:
        yield f"{name}:1: the first line must be a docstring that says what the file is"


def _safety(name: str, unit: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        last = called.rsplit(".", 1)[-1]
        where = f"{name}:{node.lineno}"
        keywords = {k.arg: k.value for k in node.keywords}
        if called in ("eval", "exec", "__import__", "builtins.eval", "builtins.exec"):
            yield f"{where}: calls {called}"
        if last == "import_module" and unit not in ("__init__", "cli"):
            yield f"{where}: import_module hides an import from the law"
        if last in ("parse_expr", "parse_latex") or called in ("S", "sp.S", "sympy.S"):
            yield f"{where}: calls {called}, which evaluates text"
        strict = keywords.get("strict")
        if last == "sympify" and not (isinstance(strict, ast.Constant) and strict.value is True):
            yield f"{where}: sympify without strict=True evaluates text"
        if called == "torch.load":
            yield f"{where}: torch.load unpickles"


def _size(name: str, text: str, tree: ast.Module) -> Iterator[str]:
    lines = text.count("\n")
    most, _ = LONGER.get(name, (FILE_LINES, ""))
    if lines > most:
        yield f"{name}: {lines} lines, and {most} are enough for one idea"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1
            most, _ = LONGER.get(f"{name}.{node.name}", (FUNCTION_LINES, ""))
            if lines > most:
                yield f"{name}:{node.lineno}: {node.name} has {lines} lines, {most} may be"


def _circles(found: dict[str, Module]) -> list[str]:
    """Circles of imports, also inside functions and for types only."""
    edges = {
        name: sorted(
            {
                one.target
                for one in module.imports
                if one.target in found and one.target != name and (name, one.target) not in ALLOWED
            }
        )
        for name, module in found.items()
    }
    said: list[str] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            said.append("circle of imports: " + " -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for following in edges[name]:
                walk(following, [*path, name])
            done.add(name)

    for name in edges:
        walk(name, [])
    return said


def rooms(found: dict[str, Module]) -> dict[str, set[str]]:
    """What each room imports from: {unit: units}, from its files' imports, for types too."""
    imported: dict[str, set[str]] = {}
    for module in found.values():
        others = imported.setdefault(module.unit, set())
        for one in module.imports:
            if one.target in found and found[one.target].unit != module.unit:
                others.add(found[one.target].unit)
    return imported


def sizes(package: Path) -> dict[str, float]:
    """The share of all lines that each folder's own files have, by its path; files at the top too.

    A solver is a folder of its own: one method a room.
    """
    lines: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        room = "/".join(parts[:-1]) or parts[0]
        lines[room] = lines.get(room, 0) + path.read_text(encoding="utf-8").count("\n")
    total = sum(lines.values())
    return {room: n / total for room, n in lines.items()}


def main() -> None:
    """Print the rooms floor by floor, what each imports from, and every breach of the law."""
    package = Path(__file__).parents[1] / "rnnmft"
    found = modules(package)
    for unit, others in sorted(rooms(found).items(), key=lambda item: FLOORS[item[0]]):
        print(f"{FLOORS[unit]:2}  {unit} <- {', '.join(sorted(others)) or 'nothing'}")
    shares = sorted(sizes(package).items(), key=lambda item: -item[1])
    print("Largest rooms:", ", ".join(f"{room} {share:.1%}" for room, share in shares[:8]))
    breaches = violations(package)
    print("\n".join(breaches) or "No breach of the law: no circle, no arrow upwards.")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
