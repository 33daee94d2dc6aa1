"""The import law of the package, read from its syntax trees: floors, circles, safety, size.

`violations(package)` returns one sentence for each breach; `tests/test_layers.py` asserts that
rnnmft has none and that each kind is found where it is planted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass
class Import:
    """One import statement's target, where it stands and how it is guarded."""

    target: str
    line: int
    in_function: bool
    typing_only: bool


@dataclass
class Module:
    """A parsed module of the package."""

    name: str
    unit: str
    tree: ast.Module
    text: str
    imports: list[Import] = field(default_factory=list)
    loads: set[str] = field(default_factory=set)


def modules(package: Path) -> dict[str, Module]:
    """All modules below the folder `package`, by dotted name, with their imports resolved."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        unit = parts[1]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, unit, ast.parse(text, str(path)), text)
    for module in found.values():
        module.imports = list(_imports(module.tree, set(found)))
    for name, module in found.items():
        module.loads = _loads(name, found, set())
    return found


def violations(package: Path) -> list[str]:
    """Every breach of the law in the package, one sentence each."""
    found = modules(package)
    declared = HEAVY | {"typer", package.name}
    said = []
    for module in found.values():
        said += _form(module)
        said += _safety(module)
        said += _size(module)
        for one in module.imports:
            if (module.name, one.target) not in ALLOWED:
                said += [
                    f"{module.name}:{one.line}: {sentence}"
                    for sentence in _import_breaches(module, one, found, declared)
                ]
    return list(dict.fromkeys(said + _circles(found)))


def _imports(tree: ast.Module, known: set[str]) -> Iterator[Import]:
    def visit(node: ast.AST, in_function: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            in_function = True
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from visit(child, in_function, True)
            for child in node.orelse:
                yield from visit(child, in_function, typing_only)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, in_function, typing_only)
        if isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                target = whole if whole in known else base
                yield Import(target, node.lineno, in_function, typing_only)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, in_function, typing_only)

    yield from visit(tree, False, False)


def _loads(name: str, found: dict[str, Module], seen: set[str]) -> set[str]:
    """The heavy libraries that importing a module of the package loads, parents included."""
    loaded: set[str] = set()
    parents = [name.rsplit(".", n)[0] for n in range(1, name.count("."))]
    for one in [name, *parents]:
        if one in seen or one not in found:
            continue
        seen.add(one)
        for each in found[one].imports:
            if not each.in_function and not each.typing_only:
                top = each.target.split(".")[0]
                loaded |= {top} if top in HEAVY else _loads(each.target, found, seen)
    return loaded


def _import_breaches(
    module: Module, one: Import, found: dict[str, Module], declared: set[str]
) -> Iterator[str]:
    top, *rest = one.target.split(".")
    if not top:
        yield "relative import; write the whole name"
        return
    if top not in declared and top not in sys.stdlib_module_names:
        yield f"imports {top}, which is not a declared dependency"
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


def _form(module: Module) -> Iterator[str]:
    if module.unit not in FLOORS:
        yield f"{module.name}: {module.unit} has no floor in tests/import_law.py"
    if not module.text.startswith(('"""', 'r"""')) or ast.get_docstring(module.tree) is None:
        yield f"{module.name}:1: the first line must be a docstring that says what the file is"


def _safety(module: Module) -> Iterator[str]:
    for one in module.imports:
        if one.target.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
            yield f"{module.name}:{one.line}: imports {one.target}, which unpickles"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        last = called.rsplit(".", 1)[-1]
        where = f"{module.name}:{node.lineno}"
        keywords = {k.arg: k.value for k in node.keywords}
        if called in ("eval", "exec", "__import__", "builtins.eval", "builtins.exec"):
            yield f"{where}: calls {called}"
        if last == "import_module" and module.unit not in ("__init__", "cli"):
            yield f"{where}: import_module hides an import from the law"
        if last in ("parse_expr", "parse_latex") or called in ("S", "sp.S", "sympy.S"):
            yield f"{where}: calls {called}, which evaluates text"
        strict = keywords.get("strict")
        if last == "sympify" and not (isinstance(strict, ast.Constant) and strict.value is True):
            yield f"{where}: sympify without strict=True evaluates text"
        if called == "torch.load":
            yield f"{where}: torch.load unpickles"


def _size(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    most, _ = LONGER.get(module.name, (FILE_LINES, ""))
    if lines > most:
        yield f"{module.name}: {lines} lines, and {most} are enough for one idea"
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1
            most, _ = LONGER.get(f"{module.name}.{node.name}", (FUNCTION_LINES, ""))
            if lines > most:
                yield f"{module.name}:{node.lineno}: {node.name} has {lines} lines, {most} may be"


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
