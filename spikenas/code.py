"""`sources`: the code that a result depends on, as the digest of every module's source.

Imports are read from the syntax tree, so no code is run to follow them. A third-party package is
identified by its version; spikenas, plugins and loose modules by their bytes. A digest is computed
once per process, since Python does not read an imported module again. A module that was edited
after it registered its components, or after its digest was computed, is refused.
"""

import ast
import hashlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from spikenas.exceptions import UsageError

_DATA_SUFFIXES = (".c", ".toml")
_digests: dict[Path, str] = {}
_names: dict[Path, str] = {}
_registered_ns: dict[str, int] = {}  # when each module registered its components


def sources(modules: Iterable[str]) -> dict[str, str]:
    """Return ``sha256:...`` of the source of the modules and of everything that they import.

    Third-party packages have ``version ...`` instead, under the name of the distribution. The
    packages of ``modules`` themselves are hashed wherever they are installed. The standard library
    and modules that cannot be found are left out.
    """
    waiting = list(dict.fromkeys(modules))
    own = {name.partition(".")[0] for name in waiting}
    found: dict[str, str] = {}
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        package, _, _ = name.rpartition(".")
        if package:
            waiting.append(package)  # its __init__ runs before the module
        top = name.partition(".")[0]
        if top not in own and (top in sys.stdlib_module_names or top == "__main__"):
            continue
        spec = _spec(name)
        if spec is None:
            continue
        found |= _versions(top)
        if top not in own and _is_installed(top):
            continue
        if spec.origin is None or not Path(spec.origin).is_file():
            continue  # a namespace package has no file
        path = Path(spec.origin)
        found[name] = _digest(path, name)
        for each in _data_files(path) if spec.submodule_search_locations else ():
            found[f"{name}:{each.relative_to(path.parent).as_posix()}"] = _digest(each, "")
        if path.suffix in SOURCE_SUFFIXES:
            waiting += _imports(path, name, is_package=bool(spec.submodule_search_locations))
    return dict(sorted(found.items()))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names whose digest or version differs, sorted."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def refresh() -> None:
    """Forget all digests, and refuse modules that were edited after their import.

    Raises UsageError naming the module: this process would run the old code, and a new worker
    the edited one.
    """
    for path, digest in list(_digests.items()):
        now = _sha256(path) if path.is_file() else None
        name = _names[path]
        if now != digest and name in sys.modules:
            raise UsageError(_edited(name, path))
    _digests.clear()
    _spec.cache_clear()
    _imports.cache_clear()


def note_registration(module: str) -> None:
    """Record that a module is being imported now and registers a component."""
    _registered_ns.setdefault(module, time.time_ns())


def _digest(path: Path, name: str) -> str:
    if path not in _digests:
        if name in _registered_ns and path.stat().st_ctime_ns > _registered_ns[name]:
            raise UsageError(_edited(name, path))
        _digests[path] = _sha256(path)
        _names[path] = name
    return _digests[path]


def _edited(name: str, path: Path) -> str:
    return f"{name} was edited after this process imported it ({path}); start Python anew"


def _sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@cache
def _spec(name: str) -> ModuleSpec | None:
    """Find a module as an import would, but without running its parent packages."""
    package, _, _ = name.rpartition(".")
    if not package:
        try:
            return find_spec(name)
        except (ImportError, ValueError):  # ValueError: a module created in code has no spec
            return None
    above = _spec(package)
    if above is None or above.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, list(above.submodule_search_locations))


@cache
def _imports(path: Path, name: str, *, is_package: bool) -> tuple[str, ...]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ()  # it cannot be imported, but still has a digest
    package = name if is_package else name.rpartition(".")[0]
    found: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            found.append(base)
            found += [f"{base}.{each.name}" for each in node.names if each.name != "*"]
    return tuple(each for each in found if each)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that may run, without the imports for type checkers."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = node.orelse
    for child in children:
        yield from _statements(child)


def _data_files(init: Path) -> list[Path]:
    """Return the C sources and TOML files of a package, without those of its subpackages."""
    folders = [each for each in init.parent.iterdir() if each.is_dir()]
    plain = [each for each in folders if not (each / "__init__.py").exists()]
    return sorted(
        path
        for folder in (init.parent, *plain)
        for path in folder.iterdir()
        if path.suffix in _DATA_SUFFIXES and path.is_file()
    )


def _is_installed(top: str) -> bool:
    spec = _spec(top)
    if spec is None:
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any({"site-packages", "dist-packages"} & {*Path(place).parts} for place in places)


def _versions(top: str) -> dict[str, str]:
    names = _distributions().get(top, ())
    return {f"{name} (distribution)": f"version {version(name)}" for name in sorted(set(names))}


_distributions = cache(packages_distributions)
