"""Builds the report: a folder with one HTML page, the pictures of every family, all figures as files, and all data as CSV."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread

import torch
from threadpoolctl import threadpool_limits

from cnndetect.data.official.catalog import suite_notes
from cnndetect.errors import CnndetectError, lookup
from cnndetect.files import csv_text, write_whole
from cnndetect.progress import bar
from cnndetect.report import headline
from cnndetect.report.audit_section import audit_section
from cnndetect.report.comparison_sections import comparison_section, ranks_section
from cnndetect.report.errors_section import explain_section
from cnndetect.report.fakeness_section import fakeness_section
from cnndetect.report.figures.style import inline_svg, png_bytes, svg_text
from cnndetect.report.image_pages import write_image_pages
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Data, Drawing, Page, Section, render
from cnndetect.report.provenance import provenance_table
from cnndetect.report.robustness_section import robustness_section
from cnndetect.report.scores_sections import families_section, forest_section, leaderboard_section
from cnndetect.report.spectra_section import spectra_section

PAGE = "report.html"

# In the order of the page. Each is built from the inputs alone, so that one that fails costs only itself.
SECTIONS: dict[str, Callable[[Inputs], Section]] = {
    "leaderboard": leaderboard_section,
    "comparison": comparison_section,
    "forest": forest_section,
    "families": families_section,
    "audit": audit_section,
    "robustness": robustness_section,
    "ranks": ranks_section,
    "explain": explain_section,
    "fakeness": fakeness_section,
    "spectra": spectra_section,
}
GROUPS = {
    "Who is better": ("leaderboard", "comparison", "forest", "families"),
    "How far to trust it": ("audit", "robustness", "ranks"),
    "See why": ("explain", "fakeness", "spectra"),
}


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path  # the HTML file
    files: tuple[Path, ...]  # every other file
    missing: dict[str, str]  # missing, failed: anchor -> why, of sections without content
    failed: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Made:
    """A section without its figures, and what became of them."""

    section: Section
    svgs: dict[str, str]
    files: list[Path]
    failed: str | None  # why it could not be built, else None
    seconds: float


def build_report(
    inputs: Inputs, out: str | Path, *, sections: Sequence[str] = (), command: str = "", jobs: int = 1, progress: bool = False
) -> Report:
    """Build the sections and write everything below ``out``. sections: anchors; default: all.  jobs: processes.

    A section that cannot be built says why on the page and in ``failed``; the others are not touched by it.
    Raises UnknownNameError for an anchor that no section has.
    """
    for anchor in sections:
        lookup("section", SECTIONS, anchor)
    chosen = [anchor for anchor in SECTIONS if not sections or anchor in sections]
    out = Path(out)
    _ = inputs.rankings  # computed here, so that every process has them
    made: dict[str, _Made] = {}
    with bar(total=len(chosen), desc="report", unit="section", shown=progress) as steps:
        for anchor, one in _each(chosen, inputs, out, jobs):
            made[anchor] = one
            steps.set_postfix_str(f"{anchor} {'failed' if one.failed else 'made'}, {one.seconds:.0f} s")
            steps.update()
            if progress and steps.disable:
                print(f"report: {len(made)} of {len(chosen)} sections: {anchor}, {one.seconds:.0f} s", file=sys.stderr)

    provenance = provenance_table(inputs)
    files = [path for anchor in chosen for path in made[anchor].files] + [_write_data(out, provenance.name, provenance.data)]
    svgs = {name: svg for one in made.values() for name, svg in one.svgs.items()}
    first = headline.drawing(inputs) if "leaderboard" in chosen else None
    if first is not None:
        files += _write_drawing(out, first, svgs)
    if "forest" in chosen and inputs.has_pictures:
        files += write_image_pages(inputs, out)
    built = [made[anchor].section for anchor in chosen]
    page = Page(
        title=headline.title(inputs),
        subtitle=headline.subtitle(inputs),
        answers=headline.answers(inputs),
        first=first,
        sections=built,
        groups={heading: kept for heading, anchors in GROUPS.items() if (kept := [a for a in anchors if a in chosen])},
        provenance=provenance,
        command=command,
        notes=suite_notes(inputs.base.suite, inputs.families),
        svgs=svgs,
    )
    write_whole(out / PAGE, render(page))
    failed = {anchor: one.failed for anchor, one in made.items() if one.failed is not None}
    missing = {section.anchor: section.missing for section in built if section.missing and section.anchor not in failed}
    return Report(out / PAGE, tuple(files), missing, failed, {anchor: made[anchor].seconds for anchor in chosen})


def _each(chosen: Sequence[str], inputs: Inputs, out: Path, jobs: int) -> Iterator[tuple[str, _Made]]:
    """Sections as they become ready."""
    if jobs <= 1 or len(chosen) <= 1:
        for anchor in chosen:
            yield anchor, _make(anchor, inputs, out)
        return
    others = set(active_children())
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(jobs,)) as pool:
        waiting = {pool.submit(_make, anchor, inputs, out): anchor for anchor in chosen}
        try:
            for ready in as_completed(waiting):
                yield waiting[ready], ready.result()
        except BaseException:  # an interruption ends the sections that are being made, and starts no other
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:
                worker.terminate()
            raise


def _start_worker(jobs: int) -> None:
    """First call of a worker: it takes its share of the cores, leaves an interruption to its parent, and ends when that has ended."""
    # More threads than cores wait for each other in loops: measured, twice the processor time and the wall time of the whole report.
    threads = max(1, (os.cpu_count() or 1) // jobs)
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=watch, daemon=True).start()


def _make(anchor: str, inputs: Inputs, out: Path) -> _Made:
    started = time.monotonic()
    svgs: dict[str, str] = {}
    files: list[Path] = []
    failed = None
    try:
        section = SECTIONS[anchor](inputs)
    except CnndetectError as error:
        failed = str(error)
        section = Section(anchor.capitalize(), anchor, [], missing=f"This section could not be made: {error}")
    for block in section.blocks:
        for drawing in block.drawings:
            files += _write_drawing(out, drawing, svgs)
        for table in block.tables:
            files.append(_write_data(out, table.name, table.data))
    # Figures are large, and everything they show is written by now.
    blocks = [replace(block, drawings=[replace(drawing, figure=None) for drawing in block.drawings]) for block in section.blocks]
    return _Made(replace(section, blocks=blocks), svgs, files, failed, time.monotonic() - started)


def _write_drawing(out: Path, drawing: Drawing, svgs: dict[str, str]) -> list[Path]:
    """PNG and CSV of a figure, and SVG unless it is made of pictures, which no SVG would sharpen."""
    assert drawing.name not in svgs, f"two drawings are called {drawing.name}"
    assert drawing.figure is not None
    files: dict[str, bytes] = {}
    svgs[drawing.name] = ""
    if not drawing.tiles:
        svg = svg_text(drawing.figure)
        drawing.figure.set_layout_engine("none")  # everything has its place by now
        svgs[drawing.name] = inline_svg(svg, prefix=drawing.name, label=drawing.alt)
        files[".svg"] = svg.encode("utf-8")
    files[".png"] = png_bytes(drawing.figure)
    paths = []
    for suffix, content in files.items():
        paths.append(out / "figures" / f"{drawing.name}{suffix}")
        write_whole(paths[-1], content, flush=False)
    return [*paths, _write_data(out, drawing.name, drawing.data)]


def _write_data(out: Path, name: str, data: Data) -> Path:
    path = out / "data" / f"{name}.csv"
    write_whole(path, csv_text(data.head, data.rows), flush=False)
    return path
