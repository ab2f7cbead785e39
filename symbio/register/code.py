"""The part of symbio that a registered model carries: what inference imports, and no more."""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import symbio

ROOTS = (
    "symbio.model.inference", "symbio.model.manifest", "symbio.model.request",
    "symbio.model.saved", "symbio.data.classes",
)  # fmt: skip
"""Where inference begins; the classes' names go along for whoever reads the output."""

_PACKAGE = Path(symbio.__file__).parent


def needed_modules(roots: tuple[str, ...] = ROOTS) -> list[str]:
    """Modules of symbio that `roots` import, directly or not, with the packages they lie in."""
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        waiting.extend(one for one in _imports(name) if one.partition(".")[0] == "symbio")
    return sorted(needed)


def copy_code(into: Path) -> Path:
    """Copy the needed modules, and data files that lie beside them, below `into`; the package.

    Data files are those of packages whose modules are needed: the label tables.
    """
    package = into / "symbio"
    for name in needed_modules():
        source = _file(name)
        assert source is not None
        target = package / source.relative_to(_PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copytree(_PACKAGE / "data" / "maps", package / "data" / "maps")
    return package


def requirements() -> list[str]:
    """Pinned requirements of the needed modules, as installed here."""
    top = {one.partition(".")[0] for name in needed_modules() for one in _imports(name)}
    providers = importlib.metadata.packages_distributions()
    found = {"mlflow"}
    for module in top - {"symbio"} - set(sys.stdlib_module_names):
        found.update(providers.get(module, [])[:1])
    # A local part of a version (+cpu) names a build that registries do not have.
    return [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in sorted(found)]


def _imports(name: str) -> Iterator[str]:
    """Names that a module imports anywhere; of `from a import b` also `a.b`, if it is one."""
    source = _file(name)
    assert source is not None, f"{name} is no module of symbio"
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner.startswith("symbio.") and _file(inner) is not None:
                    yield inner


def _file(name: str) -> Path | None:
    """The source of a module of symbio; None where there is no such module."""
    parts = name.split(".")
    if parts[0] != "symbio":
        return None
    place = _PACKAGE.joinpath(*parts[1:])
    for candidate in (place / "__init__.py", place.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
