"""``cnndetect ablation``: detectors over augmentations, class counts and seeds; their scores, and the page about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cnndetect.cli import options as shared
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import DONE, FAILED
from cnndetect.counting import counted
from cnndetect.train.options import click_options, given_flags

_HERE = "cnndetect.cli.ablation"
ablation = Verbs(
    "ablation",
    {
        "run": (f"{_HERE}:run", "train every cell of a grid"),
        "score": (f"{_HERE}:score", "bench every finished cell"),
        "page": (f"{_HERE}:page", "write the page about runs and results"),
    },
    default="run",
    help="Train detectors over augmentations, class counts and seeds. A cell is a folder TRUNK-AUGMENTATION-cCLASSES-sSEED.",
    epilog="""\b
examples:
  cnndetect ablation run --data DATA --out RUNS --trunk npr --mini --seeds 0,1,2 --limit 4000 --max-epochs 20 --crop-px 64
  cnndetect ablation run --data DATA --out RUNS --trunk npr --mini --dry-run
  cnndetect ablation score --runs RUNS --suite mini --results RESULTS
  cnndetect ablation page --runs RUNS --results RESULTS --out docs/results.md""",
)

# Those of ablation/cells.py, which sets them cell by cell; a test compares the two.
OWN = ("data", "out", "name", "seed", "recipe", "classes", "blur_probability", "jpeg_probability")
_cells = shared.renamed("--cells", old="--only", default="*", metavar="PATTERN", help="whose name fits, such as '*-s0' (default: all)")


@click.command(params=click_options(without=OWN))
@click.option("--data", type=shared.FILE, required=True, metavar="ROOT", help="folder with train/ and val/")
@shared.out("a folder per cell", required=True, metavar="RUNS")
@click.option("--trunk", required=True, metavar="NAME", help="wang2020, resnet18 or npr")
@click.option("--augmentations", type=shared.Names(), metavar="A,B", help="default: those of the paper")
@click.option("--seeds", type=shared.Names(), default="0,1,2", metavar="S,T", help="default: 0,1,2")
@click.option("--classes", type=shared.Names(), metavar="N,M", help="class counts, nested; 'all' alone leaves the others out")
@click.option("--class-order", type=shared.Names(), metavar="A,B,C", help="in which classes join (default: shuffled by a fixed seed)")
@click.option("--diversity-augmentation", default="blur-jpeg-0.1", metavar="A", help="of the class counts (default: blur-jpeg-0.1)")
@click.option("--mini", is_flag=True, help="the recipes' twins for images of 128 px")
@_cells
@shared.renamed("--dry-run", old="--plan", is_flag=True, help="print the cells and what is missing, and stop")
@shared.as_json
@click.pass_context
def run(
    ctx: click.Context, data: Path, out: Path, trunk: str, augmentations: list[str] | None, seeds: list[str], classes: list[str] | None,
    class_order: list[str] | None, diversity_augmentation: str, mini: bool, cells: str, dry_run: bool, as_json: bool, **_: object,
) -> int:  # fmt: skip
    """Train every cell of a grid; the same command continues. Every other flag is the trainer's, and goes to every cell."""
    from cnndetect.ablation.cells import AUGMENTATIONS, default_counts, find_classes, make_cells, nested_classes
    from cnndetect.ablation.run import named, plan_rows, plan_text, train_cells

    names = find_classes(data)
    every = make_cells(
        trunk, data=data, out=out, augmentations=augmentations or AUGMENTATIONS, seeds=[int(seed) for seed in seeds],
        classes=nested_classes(names, classes or default_counts(names), order=class_order or ()),
        diversity_augmentation=diversity_augmentation, mini=mini,
        flags={name: value for name, value in given_flags(ctx).items() if name not in OWN},
    )  # fmt: skip
    chosen = named(every, cells)
    failed = {} if dry_run else train_cells(chosen, names)
    shared.print_json(plan_rows(chosen, names)) if as_json else click.echo(plan_text(chosen, names))
    return _failures(failed)


@click.command()
@click.option("--runs", type=shared.FILE, required=True, metavar="RUNS", help="what the grid wrote")
@shared.suite()
@click.option("--results", type=shared.FILE, required=True, metavar="DIR", help="gets a folder per cell")
@shared.protocol
@_cells
@shared.device
def score(runs: Path, suite: str, results: Path, protocol: str, cells: str, device: str | None) -> int:
    """Bench every finished cell."""
    from cnndetect.ablation.run import bench_cells
    from cnndetect.bench.run import Options

    outcome = bench_cells(runs, suite, Options(protocol=protocol), results=results, only=cells, device=device)
    failed = {name: why for name, why in outcome.items() if why}
    click.echo(f"{len(outcome) - len(failed)} of {counted(len(outcome), 'cell')} benched into {results}")
    return _failures(failed)


@click.command()
@click.option("--runs", type=shared.FILE, metavar="RUNS", help="what the grid wrote; renews the summaries")
@click.option("--results", type=shared.FILE, required=True, metavar="DIR|FILE", help="what the score verb wrote, or --pack of it")
@click.option("--pack", type=shared.FILE, metavar="FILE.tar.xz", help="keep the results there; the page names this file")
@click.option("--summaries", type=shared.FILE, metavar="DIR", help="default: those of the checkout")
@click.option("--out", type=shared.FILE, metavar="FILE", help="default: docs/results.md of the checkout")
@click.option("--reported", type=shared.FILE, metavar="FILE", help="published figures (default: those that ship)")
@click.option("--suite", metavar="NAME", help="needed where the results are of several suites")
@shared.protocol
@shared.draws()
def page(**given: Any) -> None:
    """Write the page about runs and results, and its figures."""
    from cnndetect.ablation.page import PageOptions, make_page

    options = PageOptions(**{name: value for name, value in given.items() if value is not None})
    grid, size, left_out = make_page(options)
    for name, why in left_out.items():
        click.echo(f"left out: {name}: {why}", err=True)
    click.echo(f"wrote {options.out}, {sum(len(row.seeds) for row in grid.rows.values())} runs, figures of {size / 1024:.0f} KB")


def _failures(failed: dict[str, str]) -> int:
    for name, why in failed.items():
        click.echo(f"FAILED {name}: {why}", err=True)
    return FAILED if failed else DONE
