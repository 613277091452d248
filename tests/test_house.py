"""The guard tests of the house: imports go downstairs only, files stay short, one door opens image files."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cnndetect"

# Floor of every module or sub-package; imports go to a lower floor, or stay inside the same sub-package.
FLOORS: dict[str, float] = {
    "errors": 0,
    "paths": 1,
    "files": 1,
    "command": 1,
    "packing": 1,
    "images": 1,
    "metrics": 1,
    "transforms": 2,
    "data": 3,
    "detectors": 4,
    "features": 3,
    "zoo": 4,
    "scoring": 5,
    "train": 6,
    "bench": 6,
    "compat": 7,
    "analysis": 7,
    "report": 8,
    "ablation": 9,
}
TOP = 10  # the public surface: __init__, score and what they need


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(parts: tuple[str, ...]) -> str:
    return parts[1] if len(parts) > 1 else "__init__"


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
        if path.name == "__main__.py":  # programs stand above the house
            continue
        room = _room(("cnndetect", *path.relative_to(PACKAGE).with_suffix("").parts))
        floor = FLOORS.get(room, TOP)
        for name in _imported(path):
            target = _room(name)
            if target != room and FLOORS.get(target, TOP) >= floor and floor != TOP:
                wrong.append(f"{path.relative_to(ROOT)} ({floor}) imports {'.'.join(name)} ({FLOORS.get(target, TOP)})")
    assert not wrong, "\n".join(wrong)


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
    assert {path for path in opening if not path.startswith("cnndetect/transforms/")} <= {"cnndetect/images.py"}


def test_every_module_opens_with_a_sentence() -> None:
    silent = [path.name for path in _modules() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not silent
