"""``cnndetect bench``: run detectors on suites, and the tables over stored results."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click

from cnndetect.cli import options as shared
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import DONE, FAILED

_HERE = "cnndetect.cli.bench"
bench = Verbs(
    "bench",
    {
        "run": (f"{_HERE}:run", "score suites with detectors and print average precision"),
        "leaderboard": ("cnndetect.cli.leaderboard:leaderboard", "a table of all stored results, or of several suites side by side"),
        "compare": (f"{_HERE}:compare", "differences between detectors on the same images, paired"),
        "robustness": (f"{_HERE}:robustness", "average precision and shifts under degradations"),
        "stability": (f"{_HERE}:stability", "share of images whose verdict turns when they are delivered again"),
        "alarms": (f"{_HERE}:alarms", "share of real photographs called fake"),
    },
    default="run",
    also={"paired": "compare"},
    help="Average precision of detectors on generator families.",
    epilog="""\b
examples:
  cnndetect bench --suite all
  cnndetect bench --suite FOLDER --detector best.safetensors --protocol crop224
  cnndetect bench leaderboard --results benchmarks/results --out benchmarks/LEADERBOARD.md""",
)

_SHIPPED = "default: the results that ship with the package"


@click.command()
@shared.suite("all")
@shared.detector()
@shared.weights
@shared.protocol
@shared.one_degradation
@click.option(
    "--equalise",
    multiple=True,
    metavar="NAME",
    help="jpeg-96 or size-256, of real and fake alike; repeatable: run without it too, and print the difference",
)
@shared.limit("images per class; the answer is marked as no result")
@shared.formats("github", "latex", "csv")
@shared.as_json
@shared.device
@shared.backend
@shared.precision
@shared.batch_size
@shared.draws()
@shared.seed
@shared.results()
@click.option("--rerun", is_flag=True, help="score again what is finished")
@click.option("--progan-only", is_flag=True, help="say of detectors without a record that they were trained on ProGAN images alone")
@click.option("--audit/--no-audit", default=True, help="say where the files alone tell real from fake; made once for a test set")
@click.option("--dry-run", is_flag=True, help="print the plan and stop")
def run(
    suite: str, detectors: tuple[str, ...], weights: Path | None, protocol: str, degradation: str, equalise: tuple[str, ...],
    limit: int | None, style: str,
    as_json: bool, device: str | None, backend: str, precision: str, batch_size: int, draws: int, seed: int, results: Path | None,
    rerun: bool, progan_only: bool, audit: bool, dry_run: bool,
) -> int:  # fmt: skip
    """Score every image of the suites with every detector, and print average precision by test set. The same command resumes."""
    from cnndetect.analysis.audit.gate import audited
    from cnndetect.backends import accelerated
    from cnndetect.bench.comparison import table_of
    from cnndetect.bench.plan import detector_names, plan
    from cnndetect.bench.run import Options, run_suite
    from cnndetect.bench.suites import find_suites, suites_note
    from cnndetect.detectors.base import declared_progan_only
    from cnndetect.detectors.registry import load
    from cnndetect.paths import reference_results_root, results_root
    from cnndetect.transforms.degrade import equalised

    settings = Options(
        protocol=protocol, degradation=degradation, limit=limit, batch_size=batch_size, draws=draws, seed=seed, rerun=rerun
    )  # fmt: skip
    suites, names, found = find_suites(suite), shared.with_weights(detectors, weights) or (None,), []
    conditions = [replace(settings, degradation=one) for one in dict.fromkeys((degradation, equalised(degradation, equalisers=equalise)))]
    if dry_run:
        click.echo("\n".join(plan(suites, names, one, results_root(results)) for one in conditions))
        return DONE
    detector_names(names)
    for name in names:
        detector = accelerated(load(name, device=device), backend, precision)
        detector = declared_progan_only(detector) if progan_only else detector
        for condition in conditions:
            found += [run_suite(detector, one, condition, results=results_root(results), progress=True) for one in suites]
    audits: dict = {}
    for one in suites if audit and limit is None else []:
        prints = {r.test_set: r.provenance.fingerprint for b in found if b.suite == one.title for r in b.results}
        audits |= audited(one, prints, results=results_root(results), also=[reference_results_root()], progress=True)
    click.echo(table_of(found, style="json" if as_json else style, audits=audits))
    if suite == "all":
        click.echo(suites_note(), err=True)
    return FAILED if any(result.n_failed for benchmark in found for result in benchmark.results) else DONE


@click.command()
@shared.results(_SHIPPED)
@shared.detector("repeatable (default: every detector with results)")
@click.option("--suite", metavar="NAME", help="such as mini or mini@2 (default: the one that is there, or mini)")
@shared.protocol
@shared.one_degradation
@shared.draws()
@shared.seed
@shared.formats("github", "latex", "csv")
@shared.as_json
def compare(
    results: Path | None, detectors: tuple[str, ...], suite: str | None, protocol: str, degradation: str, draws: int, seed: int,
    style: str, as_json: bool,
) -> None:  # fmt: skip
    """Print the differences between detectors on the same images, paired, from stored scores."""
    from cnndetect.bench.paired import paired, paired_table
    from cnndetect.paths import reference_results_root

    found = paired(
        results or reference_results_root(), detectors, suite=suite, protocol=protocol, degradation=degradation, draws=draws, seed=seed
    )  # fmt: skip
    click.echo(paired_table(found, style="json" if as_json else style))


@click.command()
@shared.suite()
@shared.detector()
@shared.protocol
@shared.degradation(("short",), "a name, or a group: paper, short, all")
@shared.results()
@shared.draws()
@shared.seed
@shared.device
@click.option("--csv", "table", type=shared.FILE, metavar="FILE", help="also write every point as a row")
@shared.as_json
def robustness(
    suite: str, detectors: tuple[str, ...], protocol: str, degradations: tuple[str, ...], results: Path | None, draws: int, seed: int,
    device: str | None, table: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Score what is missing under each degradation, and print average precision and the shift of both classes."""
    from cnndetect.analysis.robustness_table import as_plain, as_text, chosen, measure, write_points
    from cnndetect.bench.run import Options
    from cnndetect.bench.suites import find_suites
    from cnndetect.detectors.registry import load
    from cnndetect.paths import results_root

    names, suites, settings = chosen(degradations), find_suites(suite), Options(protocol=protocol, seed=seed)
    loaded = [load(name, device=device) for name in detectors or (None,)]
    found = [measure(detector, one, names, settings, results=results_root(results), draws=draws) for detector in loaded for one in suites]
    if table is not None:
        write_points(table, found)
    shared.print_json([as_plain(one) for one in found]) if as_json else click.echo("\n\n".join(map(as_text, found)))
    return FAILED if any(point.n_failed for one in found for point in one.overall) else DONE


@click.command()
@shared.suite()
@shared.detector()
@shared.protocol
@shared.results()
@shared.seed
@shared.device
@shared.as_json
def stability(
    suite: str, detectors: tuple[str, ...], protocol: str, results: Path | None, seed: int, device: str | None, as_json: bool
) -> None:
    """Score what is missing under JPEG, WebP, resizing and cropping, and print whose verdicts turn, reals and fakes apart."""
    from cnndetect.bench.run import Options
    from cnndetect.bench.stability import as_plain, measured, stability_table
    from cnndetect.bench.suites import find_suites
    from cnndetect.detectors.registry import load
    from cnndetect.paths import results_root

    settings, suites = Options(protocol=protocol, seed=seed), find_suites(suite)
    loaded = [load(name, device=device) for name in detectors or (None,)]
    found = [measured(detector, one, settings, results=results_root(results)) for detector in loaded for one in suites]
    shared.print_json([as_plain(one) for one in found]) if as_json else click.echo(stability_table(found))


@click.command()
@shared.photos("a folder of real photographs, searched through; repeatable", multiple=True)
@shared.detector()
@shared.degradation(("none", "jpeg_75"), "such as blur_1")
@click.option("--split", metavar="NAME", help="of numbered photographs: train, validation or test")
@shared.limit("photographs of each folder, evenly chosen")
@shared.results()
@shared.seed
@shared.device
@shared.as_json
def alarms(
    photos: tuple[Path, ...], detectors: tuple[str, ...], degradations: tuple[str, ...], split: str | None, limit: int | None,
    results: Path | None, seed: int, device: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Count the real photographs that a detector calls fake at its frozen threshold."""
    from cnndetect.analysis.alarms import as_text, false_alarms
    from cnndetect.detectors.registry import load
    from cnndetect.paths import results_root

    rows = []
    for name in detectors or (None,):
        rows += false_alarms(
            load(name, device=device), photos, degradations=degradations, split=split, limit=limit, seed=seed,
            results=results_root(results), progress=True,
        )  # fmt: skip
    shared.print_json([asdict(row) for row in rows]) if as_json else click.echo(as_text(rows))
    return FAILED if any(row.failed for row in rows) else DONE
