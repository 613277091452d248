"""The page of an ablation grid, ``docs/results.md``, and its figures. Every statement about numbers is computed."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cnndetect.ablation.cells import ALL, parse_name
from cnndetect.ablation.curves import TrainingLog, training_curves
from cnndetect.ablation.findings import findings
from cnndetect.ablation.rows import Grid, Row, Spread, Summary, collect, read_grid
from cnndetect.bench.archives import pack, unpacked
from cnndetect.bench.reported import ReportedRow, read_reported
from cnndetect.bench.suites import FAMILY_ORDER
from cnndetect.bench.tables import markdown, percent
from cnndetect.data.official.catalog import suite_notes
from cnndetect.errors import DataError
from cnndetect.files import write_whole
from cnndetect.images import open_image
from cnndetect.metrics.intervals import DRAWS
from cnndetect.paths import reported_file
from cnndetect.report.figures.style import png_bytes

ROOT = Path(__file__).resolve().parents[2]
COLOURS = 128
SOURCE = "paper"  # of the reported rows


@dataclass(frozen=True)
class PageOptions:
    """What the page is made from, and where it goes."""

    results: Path  # where the scores of the grid were written, or --pack of it
    runs: Path | None = None  # the runs of the grid; they renew the summaries
    pack: Path | None = None  # an archive to keep the results in
    summaries: Path = ROOT / "benchmarks" / "campaigns" / "grid"
    out: Path = ROOT / "docs" / "results.md"
    reported: Path | None = None
    suite: str | None = None  # needed where the results are of several
    protocol: str = "nocrop"
    draws: int = DRAWS


def make_page(options: PageOptions) -> tuple[Grid, int, dict[str, str]]:
    """Write the page; returns the grid, the bytes of its figures, and what was left out, with the reason."""
    without = collect(options.runs, options.summaries) if options.runs else {}
    if options.pack:
        pack_results(options.results, options.pack)
        options = replace(options, results=options.pack)
    results = unpacked(options.results) if options.results.is_file() else options.results
    grid = read_grid(options.summaries, results, suite=options.suite, protocol=options.protocol, draws=options.draws)
    return grid, write(grid, options), {**without, **grid.left_out}


def pack_results(results: Path, archive: Path) -> None:
    """The results of the cells below ``results`` as a .tar.xz, the same bytes for the same files."""
    cells = [folder for folder in sorted(results.iterdir()) if parse_name(folder.name)] if results.is_dir() else []
    files = [path for folder in cells for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".npz")]
    if not files:
        raise DataError(f"{results} holds no results of a grid. Make some with: cnndetect ablation score")
    pack(results, archive, files)


def write(grid: Grid, options: PageOptions) -> int:
    """The page and its figures, each whole or not at all; returns the bytes of the figures."""
    figures = options.out.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    size = 0
    parts = [_head(grid, options)]
    for trunk in grid.trunks:
        for kind, rows in (("augmentation", grid.augmentations(trunk)), ("classes", grid.diversity(trunk))):
            if rows:
                name = f"grid-{trunk}-{kind}.png"
                size += _draw(grid, rows, kind, figures / name)
                parts.append(_section(grid, trunk, kind, rows, f"figures/{name}"))
    parts += [_findings(grid), _reported(options.reported or reported_file()), _runs(grid, options)]
    write_whole(options.out, "\n\n".join(parts).encode() + b"\n")
    return size


def _head(grid: Grid, options: PageOptions) -> str:
    command = f"cnndetect ablation page --results {_shown(options.results)} --out {_shown(options.out)}"
    given = {"--suite": (options.suite, None), "--protocol": (options.protocol, "nocrop"), "--draws": (options.draws, DRAWS)}
    command += "".join(f" {flag} {value}" for flag, (value, default) in given.items() if value != default)
    seeds = sorted({len(row.seeds) for row in grid.rows.values()})
    notes = [f"- {line}" for line in suite_notes(grid.suite, grid.test_sets)]
    return "\n".join([
        "# Results: augmentation and diversity of the training set", "",
        f"Made by `{command}`; do not edit. The two ablations of Wang et al. 2020, trained and tested by this package.",
        f"Average precision in percent on {grid.suite}, protocol {grid.protocol}: mean over training seeds ({_span(seeds)}), with a 95 %",
        "interval over photographs in brackets (see numbers.md); below it ± the standard deviation and, in parentheses,",
        "the range over seeds. The interval says what other test images would have changed, the range what another seed did.",
        *(["", "Known of these images:", "", *notes] if notes else []),
    ])  # fmt: skip


def _section(grid: Grid, trunk: str, kind: str, rows: Sequence[Row], figure: str) -> str:
    title = "augmentation, all classes" if kind == "augmentation" else f"number of classes, {rows[0].condition.augmentation}"
    labels = [_label(grid, row, kind) for row in rows]
    columns = range(len(grid.test_sets))
    table = [["**macro mean**", *(_cell(row.mean_ap(columns)) for row in rows)]]
    table += [[name, *(_cell(row.mean_ap([column])) for row in rows)] for column, name in enumerate(grid.test_sets)]
    return "\n".join([
        f"## {trunk}: {title}", "", markdown(["AP, %", *labels], table), "", _images(grid, rows, labels), "",
        f"![Validation accuracy and learning rate of {trunk}, {title}, against training images seen]({figure})",
    ])  # fmt: skip


def _images(grid: Grid, rows: Sequence[Row], labels: Sequence[str]) -> str:
    counts = [sorted({one.images for one in grid.of(row)}) for row in rows]
    if len({tuple(count) for count in counts}) == 1:
        return f"Every run was trained on {_span(counts[0])} images."
    listed = "; ".join(f"{label}: {_span(count)}" for label, count in zip(labels, counts, strict=True))
    return f"**The number of training images is not the same in all columns** ({listed}), so it is part of the difference."


def _findings(grid: Grid) -> str:
    parts = [
        "## Which findings of the paper hold here", "",
        "Each line is a claim of the paper's section 4 and what the numbers above say of it. The difference is in points of AP with its",
        "95 % interval, which holds the variance over photographs, the same for all detectors, and the variance between training seeds.",
        "*Holds* or *does not hold* where the interval excludes 0, *cannot be told* otherwise and wherever a column has a single seed.",
        "None is corrected for the number of claims: of twenty claims without any effect, about one would be decided by chance.",
    ]  # fmt: skip
    for trunk in grid.trunks:
        parts += ["", f"**{trunk}**", "", *(f"- {found.sentence}" for found in findings(grid, trunk))]
    return "\n".join(parts)


def _reported(path: Path) -> str:
    content = read_reported(path)
    rows = [row for row in content.rows if row.source == SOURCE and row.metric == "ap" and row.detector.startswith("Wang")]
    source = content.sources[SOURCE]
    names = [name for name in FAMILY_ORDER if any(name in row.values for row in rows)]
    table = [[_reported_name(row), _figure(row.mean), *(_figure(row.values.get(name)) for name in names)] for row in rows]
    return "\n".join([
        "## Reported, other data", "",
        f"The rows of the paper itself ([{source['title']}]({source['url']})): other training images, other test images, ImageNet",
        "weights to start from, 20 classes. They stand here to compare signs, never to be ranked with the tables above. † was not read",
        "at its source.", "", markdown(["AP, %", "mean", *names], table),
    ])  # fmt: skip


def _runs(grid: Grid, options: PageOptions) -> str:
    head = ["run", "recipe", "images", "epochs", "best", "val accuracy, %", "val AP, %", "minutes", "ended by", "weights"]
    table, commands = [], []
    shown = dict.fromkeys(row.condition for trunk in grid.trunks for row in [*grid.augmentations(trunk), *grid.diversity(trunk)])
    for row in (grid.rows[condition] for condition in shown):
        found = grid.of(row)
        for one in found:
            record = os.path.relpath(options.summaries / f"{one.name}.json", options.out.parent)
            table.append([
                f"[{one.name}]({Path(record).as_posix()})", one.recipe, one.images, one.epochs, one.best_epoch,
                f"{100 * one.val_accuracy:.1f}", f"{100 * one.val_ap:.1f}",
                f"{one.seconds / 60:.1f}", one.stop_reason, f"`{(one.weights_sha256 or '')[:12]}`",
            ])  # fmt: skip
        commands += list(dict.fromkeys(_any_seed(one, seed) for one, seed in zip(found, row.seeds, strict=True)))
    devices = sorted({one.device for one in grid.summaries.values()})
    left_out = [f"- {name}: {why}" for name, why in sorted(grid.left_out.items())]
    return "\n".join([
        "## Runs", "",
        f"Trained on {', '.join(devices)}. Each name leads to the run's summary: command, data, log of every epoch.", "",
        markdown(head, table), "",
        "The command of each column; `$S` is the seed, DATA the training set, RUNS the folder of all runs.", "", "```sh", *commands, "```",
        *(["", "Left out of the tables:", "", *left_out] if left_out else []),
    ])  # fmt: skip


def _draw(grid: Grid, rows: Sequence[Row], kind: str, path: Path) -> int:
    logs = {_label(grid, row, kind): [_training_log(one) for one in grid.of(row)] for row in rows}
    figure = training_curves(logs, title=rows[0].condition.trunk)
    # Such a drawing has few colours; the rare ones are the hues, so they count.
    picture, buffer = open_image(png_bytes(figure, dots_per_inch=110)), io.BytesIO()
    few = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    write_whole(path, buffer.getvalue())
    return len(buffer.getvalue())


def _training_log(one: Summary) -> TrainingLog:
    return TrainingLog([int(count) for count in one.log["images"]], one.log["val_accuracy"], one.log["lr"])


def _label(grid: Grid, row: Row, kind: str) -> str:
    if kind == "augmentation":
        return row.condition.augmentation
    count = len(grid.of(row)[0].class_names) if row.condition.classes == ALL else int(row.condition.classes)
    return f"{count} classes" if count != 1 else "1 class"


def _cell(found: Spread) -> str:
    if math.isnan(found.sd):
        return f"{percent(found.mean)}<br>one seed"
    return f"{percent(found.mean)}<br>± {100 * found.sd:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _any_seed(one: Summary, seed: int) -> str:
    return one.command.replace(f"--seed {seed}", "--seed $S").replace(one.name, one.name.removesuffix(f"s{seed}") + "s$S")


def _reported_name(row: ReportedRow) -> str:
    return row.detector if row.verified else f"{row.detector} †"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _span(counts: Sequence[int]) -> str:
    return " to ".join(f"{count:,}" for count in dict.fromkeys((min(counts), max(counts))))


def _shown(path: Path) -> str:
    # Places outside the repository are of one machine.
    found = path.resolve()
    return found.relative_to(ROOT).as_posix() if found.is_relative_to(ROOT) else found.name
