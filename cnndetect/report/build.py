"""A suite's stored results in, a folder with one HTML page, its figures and its data out."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from cnndetect.bench.standings import differences
from cnndetect.bench.tables import percent
from cnndetect.data.official.catalog import suite_notes
from cnndetect.errors import CnndetectError, lookup
from cnndetect.files import csv_text, write_whole
from cnndetect.progress import bar
from cnndetect.report.audit_section import audit_section
from cnndetect.report.comparison_sections import comparison_section, ranks_section
from cnndetect.report.figures.style import inline_svg, png_bytes, svg_text, webp_bytes
from cnndetect.report.image_sections import explain_section, fakeness_section, spectra_section
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Data, Drawing, Page, Section, Table, Value, render
from cnndetect.report.robustness_section import robustness_section
from cnndetect.report.scores_sections import families_section, forest_section, leaderboard_section

PAGE = "report.html"

# In the order of the page. Each is built from the inputs alone, so that one that fails costs only itself.
SECTIONS: dict[str, Callable[[Inputs], Section]] = {
    "leaderboard": leaderboard_section,
    "forest": forest_section,
    "comparison": comparison_section,
    "ranks": ranks_section,
    "families": families_section,
    "robustness": robustness_section,
    "fakeness": fakeness_section,
    "explain": explain_section,
    "spectra": spectra_section,
    "audit": audit_section,
}


@dataclass(frozen=True)
class Report:
    """What was written. page: the HTML file.  files: every other file.  missing, failed: anchor -> why, of sections without content."""

    page: Path
    files: tuple[Path, ...]
    missing: dict[str, str]
    failed: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Made:
    """A section without its figures, and what became of them. failed: why it could not be built, else None."""

    section: Section
    svgs: dict[str, str]
    pictures: dict[str, str]
    files: list[Path]
    failed: str | None
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
    _ = inputs.standings  # computed here, so that every process has them
    made: dict[str, _Made] = {}
    with bar(total=len(chosen), desc="sections", unit="section", shown=progress, leave=True) as shown:
        for anchor, one in _each(chosen, inputs, out, jobs):
            made[anchor] = one
            shown.update()

    provenance = _provenance(inputs)
    files = [path for anchor in chosen for path in made[anchor].files] + [_write_data(out, provenance.name, provenance.data)]
    svgs = {name: svg for one in made.values() for name, svg in one.svgs.items()}
    pictures = {name: picture for one in made.values() for name, picture in one.pictures.items()}
    built, notes = [made[anchor].section for anchor in chosen], suite_notes(inputs.base.suite, inputs.families)
    page = Page(_title(inputs), _lead(inputs), _facts(inputs), built, provenance, command, notes, svgs, pictures)
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
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_make, anchor, inputs, out): anchor for anchor in chosen}
        for ready in as_completed(waiting):
            yield waiting[ready], ready.result()


def _make(anchor: str, inputs: Inputs, out: Path) -> _Made:
    started = time.monotonic()
    svgs: dict[str, str] = {}
    pictures: dict[str, str] = {}
    files: list[Path] = []
    failed = None
    try:
        section = SECTIONS[anchor](inputs)
    except CnndetectError as error:
        failed = str(error)
        section = Section(anchor.capitalize(), anchor, [], missing=f"This section could not be made: {error}")
    for block in section.blocks:
        for drawing in block.drawings:
            files += _write_drawing(out, drawing, svgs, pictures)
        for table in block.tables:
            files.append(_write_data(out, table.name, table.data))
    # Figures are large, and everything they show is written by now.
    blocks = [replace(block, drawings=[replace(drawing, figure=None) for drawing in block.drawings]) for block in section.blocks]
    return _Made(replace(section, blocks=blocks), svgs, pictures, files, failed, time.monotonic() - started)


def _write_drawing(out: Path, drawing: Drawing, svgs: dict[str, str], pictures: dict[str, str]) -> list[Path]:
    assert drawing.name not in svgs and drawing.name not in pictures, f"two drawings are called {drawing.name}"
    assert drawing.figure is not None
    svg = svg_text(drawing.figure)
    drawing.figure.set_layout_engine("none")  # everything has its place by now
    png = png_bytes(drawing.figure)
    paths = [out / "figures" / f"{drawing.name}.svg", out / "figures" / f"{drawing.name}.png"]
    for path, content in zip(paths, (svg.encode("utf-8"), png), strict=True):
        write_whole(path, content)
    if drawing.vector:
        svgs[drawing.name] = inline_svg(svg, prefix=drawing.name, label=drawing.alt)
    else:
        pictures[drawing.name] = base64.b64encode(webp_bytes(drawing.figure)).decode("ascii")
    return [*paths, _write_data(out, drawing.name, drawing.data)]


def _write_data(out: Path, name: str, data: Data) -> Path:
    path = out / "data" / f"{name}.csv"
    write_whole(path, csv_text(data.head, data.rows))
    return path


def _title(inputs: Inputs) -> str:
    detectors, names = len(inputs.detectors), len(inputs.families)
    return f"{inputs.base.title}: {detectors} detector{'s' * (detectors > 1)} on {names} famil{'ies' if names > 1 else 'y'}"


def _lead(inputs: Inputs) -> str:
    """The page's answer in a sentence or two, from the standings."""
    complete = inputs.standings.complete
    if not complete:
        return "No detector has results on every family, so there is no leaderboard."
    best = complete[0]
    text = f"**{best.detector}** ranks first, with a macro mean AP of **{percent(best.macro)}**."
    if len(complete) == 1:
        return text
    second = complete[1]
    lead = differences(complete)[best.detector, second.detector]
    points = f"{percent(lead)} points"
    if lead.low > 0:
        return f"{text} Its lead over {second.detector}, {points}, is more than the choice of photographs explains."
    return f"{text} Its lead over {second.detector}, {points}, is within what the choice of photographs explains: call it a tie."


def _facts(inputs: Inputs) -> dict[str, str]:
    results = {family: next(row[family].result for row in inputs.rows.values() if family in row) for family in inputs.families}
    failed = sum(run.result.n_failed for row in inputs.rows.values() for run in row.values())
    return {
        "detectors": str(len(inputs.detectors)),
        "families": str(len(results)),
        "scored images": f"{sum(r.n_real + r.n_fake for r in results.values()):,}",
        "failed": str(failed),
        "draws of ranks": f"{inputs.draws:,}",
    }


def _provenance(inputs: Inputs) -> Table:
    head = ["detector", "family", "images", "test set", "weights or identity", "threshold", "scored at"]
    rows: list[list[str | Value]] = []
    data = []
    for detector in inputs.detectors:
        for family, run in sorted(inputs.rows[detector].items(), key=lambda item: inputs.families.index(item[0])):
            r = run.result
            identity = str(r.provenance.identity or "not known")
            threshold = "none" if r.threshold_logit is None else f"{r.threshold_logit:.3f}"
            images = r.n_real + r.n_fake
            pixels = r.provenance.fingerprint
            rows.append([detector, family, Value(str(images), images), pixels[:12], identity[:16], threshold, r.time[:10]])
            data.append(
                [
                    detector,
                    family,
                    images,
                    pixels,
                    identity,
                    r.threshold_logit,
                    r.time,
                    r.commit,
                    r.protocol,
                    r.degradation,
                    r.seed,
                ]
            )
    columns = [
        "detector",
        "family",
        "images",
        "fingerprint",
        "identity",
        "threshold_logit",
        "time",
        "commit",
        "protocol",
        "degradation",
        "seed",
    ]
    return Table("runs", "The stored runs of this page. The CSV has whole fingerprints.", head, rows, Data(columns, data))
