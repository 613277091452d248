"""The guard tests of the house: imports go downstairs only, files stay short, one door opens image files."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cnndetect"

# Floor of every room, a module or a sub-package of the package; imports go to a lower floor, or stay in the room.
FLOORS = {
    "errors": 0,
    "renamed": 0,
    "counting": 0,
    "lazy": 0,
    "programs": 0,
    "paths": 1,
    "files": 1,
    "progress": 1,
    "packing": 1,
    "metrics": 1,
    "images": 2,
    "transforms": 2,
    "data": 3,
    "features": 3,
    "kept": 4,
    "detectors": 4,
    "zoo": 4,
    "backends": 5,
    "scoring": 6,
    "bulk": 7,
    "fitting": 7,
    "train": 7,
    "bench": 7,
    "estimator": 7,
    "compat": 12,
    "analysis": 8,
    "report": 9,
    "serve": 9,
    "ablation": 10,
    "cli": 11,  # the programs
    "audit": 12,
    "__init__": 12,  # the public names, imported when they are first used
    "__main__": 12,
    "score": 12,  # a callable module; it and audit are aliases of the program
}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(parts: tuple[str, ...]) -> str:
    return parts[1] if len(parts) > 1 and not parts[1].startswith("__version") else "__init__"


def _is_alias(path: Path) -> bool:
    """``python -m cnndetect.VERB``: a few lines that stand outside and call the program."""
    return path.name == "__main__.py"


def _imported(path: Path) -> set[tuple[str, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = tuple(node.module.split("."))
            names |= {(*module, alias.name) for alias in node.names} if module == ("cnndetect",) else {module}
    return {name for name in names if name[0] == "cnndetect"}


def test_imports_go_downstairs() -> None:
    wrong = []
    for path in _modules():
        if _is_alias(path):
            continue
        room = _room(("cnndetect", *path.relative_to(PACKAGE).with_suffix("").parts))
        for name in _imported(path):
            target = _room(name)
            if target != "__init__" and target != room and FLOORS[target] >= FLOORS[room]:
                wrong.append(f"{path.relative_to(ROOT)} ({FLOORS[room]}) imports {'.'.join(name)} ({FLOORS[target]})")
    assert not wrong, "\n".join(wrong)


class _NoTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def test_no_circle_between_files() -> None:
    """Imports inside functions count too; those for type checkers alone never run, and do not."""
    files = {
        ".".join(("cnndetect", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path for path in _modules()
    }
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found: set[str] = set()
        for node in ast.walk(_NoTypeChecking().visit(ast.parse(path.read_text(encoding="utf-8")))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {name if (name := f"{node.module}.{alias.name}") in files else node.module for alias in node.names}
        graph[module] = {name for name in found if name in files and name != module}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError that names the files


def test_no_file_is_longer_than_300_lines() -> None:
    files = [*_modules(), *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
    long = {str(path.relative_to(ROOT)): count for path in files if (count := len(path.read_text("utf-8").splitlines())) > 300}
    assert not long


def test_only_images_opens_image_files() -> None:
    opening = [
        path.relative_to(ROOT).as_posix()
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open")
    ]
    # Re-encoding in memory (JPEG, WebP of an augmentation) is not opening a file.
    assert {path for path in opening if not path.startswith("cnndetect/transforms/")} <= {"cnndetect/images/__init__.py"}


def test_whole_files_are_written_by_files_and_stored_results_found_by_the_store() -> None:
    writers = re.compile(r"\.write_text\(|(?<!>>> )\.write_bytes\(|os\.replace\(")
    lines = {(path.relative_to(PACKAGE).as_posix(), line.strip()) for path in _modules() for line in path.read_text("utf-8").splitlines()}
    writing = {name for name, line in lines if writers.search(line) and not line.startswith(">>>")}
    # A journal is appended to, a download and a member of a zip are streams, and a part of a bulk scoring may lie in an object store.
    assert writing == {"files.py", "scoring/journal.py", "data/official/download.py", "data/official/unpack.py", "bulk/parts.py"}
    assert {name for name, line in lines if "read_result(" in line} == {"bench/results.py", "bench/store.py", "bench/verify.py"}
    asked = {name for name, line in lines if re.search(r"\bscore_batches\(", line)}
    assert asked == {"scoring/engine.py", "scoring/stream.py", "scoring/batches.py", "fitting/validation.py", "bulk/worker.py"}


def test_every_module_opens_with_a_sentence() -> None:
    silent = [path.name for path in _modules() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not silent
