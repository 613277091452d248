"""The first screen: who ranks first, by how much, how sure that is, and where it is weak. Every word comes from stored scores."""

from __future__ import annotations

import numpy as np

from cnndetect.bench.standings import Standing
from cnndetect.bench.tables import percent
from cnndetect.report.figures.leaderboard import leaderboard
from cnndetect.report.inputs import Inputs
from cnndetect.report.lead import lead
from cnndetect.report.page import Data, Drawing
from cnndetect.report.scores_sections import parts

_WIDTH_INCHES = 4.2


def title(inputs: Inputs) -> str:
    detectors, names = len(inputs.detectors), len(inputs.families)
    return f"{inputs.base.title}: {detectors} detector{'s' * (detectors != 1)} on {names} generator famil{'ies' if names != 1 else 'y'}"


def subtitle(inputs: Inputs) -> str:
    """How many images, how many scores failed, and which table the answers are about."""
    first = {family: next(row[family] for row in inputs.rows.values() if family in row) for family in inputs.families}
    reals: set[tuple[str, str]] = set()  # test sets may share theirs
    for run in first.values():
        real = run.scores.labels == 0
        reals |= set(zip(run.scores.clusters[real].tolist(), run.scores.paths[real].tolist(), strict=True))
    images = f"{sum(run.result.n_fake for run in first.values()):,} fakes and {len(reals):,} real images"
    failed = sum(run.result.n_failed for row in inputs.rows.values() for run in row.values())
    failures = f"; {failed} scores failed and count at their worst" if failed else ""
    return f"{images}{failures}. The answers below are about detectors {inputs.rankings[0].about}."


def answers(inputs: Inputs) -> dict[str, tuple[str, str]]:
    """Question -> answer, and the numbers that it rests on."""
    complete = inputs.standings.complete
    if not complete:
        return {"Who ranks first?": ("Nobody", "No detector has results on every family.")}
    best = complete[0]
    painted = "; trained on photographs passed through decoders, not on samples from noise" if best.detector in inputs.resynthesised else ""
    found = {"Who ranks first?": (best.detector, f"macro mean AP {percent(best.macro)} %{painted}")}
    if len(complete) > 1:
        found |= lead(complete)
    found["Where is it weakest?"] = _weakest(inputs, best)
    calls = _calls(best)
    return found | ({"What does it get wrong?": calls} if calls else {})


def drawing(inputs: Inputs) -> Drawing | None:
    """The chart of the first leaderboard, None where no detector is complete."""
    ranked = {standing.detector: standing.macro for standing in inputs.standings.complete}
    if not ranked:
        return None
    alt = "Leaderboard: " + "; ".join(f"{name} {percent(interval)}" for name, interval in ranked.items())
    data = Data(["detector", "macro_ap", "low", "high"], [[name, *parts(interval)] for name, interval in ranked.items()])
    caption = f"Mean AP over the families of detectors {inputs.rankings[0].about}, with its 95 % interval over photographs."
    return Drawing("leaderboard", leaderboard(ranked, width=_WIDTH_INCHES), caption, alt, data)


def _weakest(inputs: Inputs, best: Standing) -> tuple[str, str]:
    runs = sorted(zip(inputs.standings.families, best.runs, strict=True), key=lambda pair: pair[1].result.ap.value)
    family, run = runs[0]
    chance = run.result.n_fake / (run.result.n_fake + run.result.n_real)
    return family, f"AP {percent(run.result.ap)} %, chance {100 * chance:.0f} %"


def _calls(best: Standing) -> tuple[str, str] | None:
    """Errors at the threshold that was frozen on validation, None where the detector has none."""
    means = best.means
    if np.isnan(means["accuracy_fake_fitted"]) or all(run.result.threshold_logit is None for run in best.runs):
        return None
    missed, accused = (100 * (1 - means[name]) for name in ("accuracy_fake_fitted", "accuracy_real_fitted"))
    return f"Misses {missed:.0f} % of the fakes", f"and calls {accused:.1f} % of the reals fake, at the threshold frozen on validation"
