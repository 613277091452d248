"""Tables and sentences of the documentation that no single command prints, each from stored results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from blocks import default_detector
from torch import nn

from cnndetect.backends.export import SIZES, export_onnx
from cnndetect.backends.tracing import formless
from cnndetect.bench.reported import PAPER_SETS, read_reported
from cnndetect.bench.standings import Standing, differences
from cnndetect.bench.store import Run
from cnndetect.bench.tables import markdown, percent
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.records import registered
from cnndetect.detectors.registry import load
from cnndetect.metrics.intervals import Interval, jackknife
from cnndetect.paths import reference_results_root, reported_file
from cnndetect.report.inputs import Inputs, read_inputs

ROOT = Path(__file__).resolve().parents[2]

# Least macro mean AUC on the suite public that was asked of the best detector of each kind, before there were results: (as it is, after JPEG 90).
ASKED = {"ProGAN": (0.80, 0.72), "any decoder": (0.90, 0.80)}


@lru_cache
def inputs(suite: str = "mini") -> Inputs:
    """The stored results of a suite."""
    return read_inputs(suite, protocol="nocrop", results=[reference_results_root()])


def leaderboard() -> str:
    """README's table: every detector that ships or has stored results, a part per kind of training data."""
    parts = []
    for ranking in inputs().rankings:
        rows = [_row(standing) for standing in ranking.standings.complete]
        head = ["detector", "macro mean AP, %", "rank", "fakes found, %", "reals accused, %"]
        parts.append(f"**{ranking.title}**\n\n{markdown(head, rows)}")
    painted = [f"`{name}`" for name in inputs().resynthesised]
    if painted:
        parts.append(f"{_listed(painted)} learned from photographs that generators' decoders painted again, not from samples from noise.")
    return "\n\n".join(parts)


def _ours() -> list[str]:
    """Detectors of this project with results on the suite public, best first within each table."""
    mine = {*registered(), *(name for name, record in PUBLISHED.items() if record.compared == "made here")}
    return [name for name in inputs("public").detectors if name in mine]


def public() -> str:
    """Means of this project's detectors over generators that others trained, as they are and after JPEG 90."""
    macros = {one.detector: percent(one.macro) for ranking in inputs("public").rankings for one in ranking.standings.complete}
    rows = []
    for name in _ours():
        first, (clean, later) = inputs("public").rows[name], public_aucs()[name]
        aucs = {family: run.result.metrics.auc.value for family, run in first.items()}
        worst = min(aucs, key=lambda family: aucs[family])
        cells = [_named(name), _trained_on(name), macros.get(name, "-"), percent(clean), "-" if later is None else percent(later)]
        rows.append([*cells, f"{worst} ({100 * aucs[worst]:.1f})"])
    head = ["detector", "trained on", "macro mean AP, %", "macro mean AUC, %", "the same after JPEG 90", "worst generator (AUC, %)"]
    return markdown(head, rows)


@lru_cache
def public_aucs() -> dict[str, tuple[Interval, Interval | None]]:
    """Macro mean AUC of this project's detectors on the suite public: as it is, and after JPEG 90 where that is complete."""
    found = inputs("public")
    later = found.runs.get(replace(found.base, degradation="jpeg_90"), {})

    def mean(runs: Mapping[str, Run]) -> Interval:
        return jackknife([run.scores.at_worst() for run in runs.values()], figure="auc").macro

    return {
        name: (mean(found.rows[name]), mean(later[name]) if len(later.get(name, {})) == len(found.rows[name]) else None)
        for name in _ours()
    }  # fmt: skip


def asked() -> str:
    """What was asked of the best detector of each kind on the suite public, and what it and the best of the bundled ones reach."""
    rows = []
    for kind, least in ASKED.items():
        for place, (condition, asked_for) in enumerate(zip(("as it is", "after JPEG 90"), least, strict=True)):
            aucs = {name: auc for name, pair in public_aucs().items() if _trained_on(name) == kind and (auc := pair[place]) is not None}
            best = max(aucs, key=lambda name: aucs[name].value)
            packaged = max((name for name in aucs if name in registered()), key=lambda name: aucs[name].value)
            verdicts = [
                f"{_named(name)} {percent(aucs[name])}: {'reached' if aucs[name].value >= asked_for else 'missed'}"
                for name in (best, packaged)
            ]
            rows.append([kind, condition, f"{100 * asked_for:.0f}", *verdicts])
    return markdown(["trained on", "public", "asked", "best detector", "best one that needs no extra"], rows)


def _trained_on(name: str) -> str:
    return "ProGAN" if next(iter(inputs("public").rows[name].values())).result.progan_only else "any decoder"


def public_families() -> str:
    """AUC of this project's detectors on each generator of the suite public."""
    found = inputs("public")
    ours = {name: found.rows[name] for name in _ours()}
    rows = [
        [family, *(percent(runs[family].result.metrics.auc) if family in runs else "-" for runs in ours.values())]
        for family in found.families
    ]
    return markdown(["AUC, %", *(f"`{name}`" for name in ours)], rows)


def _named(detector: str) -> str:
    return f"`{detector}`" + (" (default)" if detector == default_detector() else "")


def _row(standing: Standing) -> list[str]:
    means = standing.means
    found, accused = means["accuracy_fake_fitted"], 1 - means["accuracy_real_fitted"]
    shares = ["-" if np.isnan(share) else f"{100 * share:.1f}" for share in (found, accused)]
    rank = f"{standing.rank:g}" + ("" if np.isnan(standing.rank_low) else f" [{standing.rank_low:g}, {standing.rank_high:g}]")
    return [_named(standing.detector), percent(standing.macro), rank, *shares]


def limits() -> str:
    """What the default detector cannot do on the embedded suite, in sentences that the figures decide."""
    name, complete = default_detector(), inputs().standings.complete
    mine = next((one for ranking in inputs().rankings for one in ranking.standings.complete if one.detector == name), None)
    if mine is None:
        return f"- The default detector, `{name}`, has no stored result on every family."
    lines = []
    families = inputs().standings.families
    aps = {family: run.result.ap for family, run in zip(families, mine.runs, strict=True)}
    blind = [family for family, ap in aps.items() if not np.isnan(ap.low) and ap.low <= _chance(mine, family)]
    weak = [family for family, ap in aps.items() if ap.value < 0.8 and family not in blind]
    if blind:
        lines.append(f"On {_listed(blind)} its ranking cannot be told from chance.")
    if weak:
        lines.append(f"It ranks {_listed(weak)} poorly, with an AP below 80 %.")
    ahead = [one.detector for one in complete if one.macro.value > mine.macro.value and one.detector != name]
    if ahead:
        pairs = differences([one for one in complete if one.detector in (*ahead, name)])
        sure = [other for other in ahead if pairs[other, name].excludes_zero] if mine in complete else []
        beyond = f", {_listed([f'`{one}`' for one in sure])} by more than chance" if sure else ", none of them by more than chance"
        lines.append(f"{len(ahead)} of {len(complete)} detectors of its table have a higher macro mean AP{beyond}.")
    plain = [one for one in complete if one.detector.startswith("baseline")]
    beaten = [f for f in families if any(_of(one, f) > aps[f].value for one in plain)]
    if beaten:
        lines.append(f"A baseline that learns nothing beats it on {_listed(beaten)}.")
    missed = 1 - mine.means["accuracy_fake_fitted"]
    if not np.isnan(missed):
        lines.append(f"At its frozen threshold it misses {100 * missed:.0f} % of the fakes, averaged over families.")
    return "\n".join(f"- {line}" for line in lines)


def families() -> str:
    """AP of the default detector on every family beside the best detector of its table."""
    name, rows = default_detector(), []
    for family in inputs().families:
        mine = inputs().average_precision(name, family) if name in inputs().rows else None
        complete = inputs().standings.complete
        best = max(complete, key=lambda one: _of(one, family), default=None)
        images = next(row[family].result for row in inputs().rows.values() if family in row)
        cells = ["-" if mine is None else percent(mine), "-" if best is None else f"{100 * _of(best, family):.1f} (`{best.detector}`)"]
        rows.append([family, *cells, f"{images.n_real}/{images.n_fake}"])
    return markdown(["family", f"`{name}`, AP, %", "best detector of its table", "real/fake"], rows)


def official() -> str:
    """One line: what the paper's authors report of their own checkpoints."""
    rows = [row for row in read_reported(reported_file()).rows if (row.source, row.metric, row.protocol) == ("readme", "ap", "crop224")]
    means = {row.detector: 100 * np.mean([row.values[name] for name in PAPER_SETS]) for row in rows}
    names = [f"{mean:.1f} % ({name})" for name, mean in means.items()]
    return f"The checkpoints of the paper's authors reach a mean AP of {_listed(names)} on their eleven test sets, by their own figures."


def default_facts() -> str:
    """What the default detector is, from its record."""
    name = default_detector()
    detector = load(name)
    assert isinstance(detector.network, nn.Module)
    parameters = sum(p.numel() for p in detector.network.parameters()) / 1e6
    only = "trained on ProGAN alone" if detector.progan_only else "trained on more than ProGAN, so it has a table of its own"
    record = registered()[name]
    painted = " Its fakes are photographs that generators' decoders painted again, not samples from noise." if record.resynthesised else ""
    return f"The default detector is `{name}` ({record.title}; {parameters:.1f} million parameters), {only}.{painted}"


def onnx() -> str:
    """What ``detectors export`` writes for each bundled detector, and how far its logits are from torch's."""
    rows, without, sizes = [], [], ", ".join(f"{height} x {width}" for height, width in SIZES)
    with TemporaryDirectory() as folder:
        for name in registered():
            detector = load(name)
            if formless(detector.network):
                without.append(f"`{name}`")
                continue
            made = export_onnx(detector, Path(folder) / f"{name}.onnx")
            rows.append([f"`{name}`", f"{made.bytes / 1e6:.1f}", f"{made.largest_difference:.0e}"])
    none = f" No ONNX form, because of a Fourier transform: {_listed(without)}." if without else ""
    return f"{markdown(['detector', 'ONNX, MB', 'largest difference of a logit'], rows)}\n\nTwo random images of each size: {sizes}.{none}"


def probes() -> str:
    """AUC of probes by what they were trained on."""
    campaign = SourceFileLoader("clip_ablation", str(ROOT / "scripts" / "campaigns" / "clip_ablation")).load_module()
    return campaign.table(_campaign("probes"))


def neighbours() -> str:
    """What other networks reach after minutes of training on pairs of ProGAN decoders; none of them ships."""
    rows = _campaign("neighbours")
    head = ["run", "images seen", "validation AUC", "macro AP on mini", "macro AP on public", "mean AUC on public", "after JPEG 90"]

    def cells(row: dict) -> list[str]:
        macros = [percent(Interval(**row[key])) for key in ("mini_ap", "public_ap")]
        shares = ["-" if row[key] is None else f"{100 * row[key]:.1f}" for key in ("validation_auc", "public_auc", "public_auc_jpeg_90")]
        return [row["detector"], "-" if row["images_seen"] is None else f"{row['images_seen']:,}", shares[0], *macros, *shares[1:]]

    return markdown(head, [cells(row) for row in rows])


def development(name: str = "development") -> str:
    """AUC of detectors, and of sums of two, on the seven kinds of the development set."""
    rows = _campaign(name)["rows"]
    kinds = list(rows[0]["auc"])
    named = [" + ".join(f"{share:g} {name}" if share < 1 else name for name, share in row["shares"].items() if share) for row in rows]
    cells = [[f"{100 * value:.1f}" for value in (row["mean_auc"], *row["auc"].values())] for row in rows]
    return markdown(["AUC, %", "mean", *kinds], [[name, *values] for name, values in zip(named, cells, strict=True)])


def in_use() -> str:
    """Real pictures that the default calls fake, and how far its score moves when a photograph is sent on."""
    stored = _campaign("in_use")
    default = default_detector()
    rows = [row for row in stored["alarms"] if row["detector"] == default]
    shown = markdown(
        ["real pictures", "condition", "images", "called fake"],
        [
            [row["pictures"], row["degradation"], row["images"], percent(Interval(row["called_fake"], row["low"], row["high"])) + " %"]
            for row in rows
        ],
    )
    (sent,) = (row for row in stored["sent_on"] if row["detector"] == default)
    deviation, width = ([f"{row[share]:.2f}" for share in ("median", "95 %")] for row in (sent["deviation"], sent["range"]))
    most = sorted(sent["called"].items(), key=lambda one: -one[1])[:3]
    called = ", ".join(f"{100 * share:.0f} % after {name}" for name, share in most)
    ways = ", ".join(sent["deliveries"])
    return (
        f"{shown}\n\n{sent['photographs']} photographs sent on in {len(sent['deliveries'])} ways ({ways}): the standard deviation of the "
        f"calibrated score is {deviation[0]} for the median photograph and at most {deviation[1]} for 95 % of them; the range {width[0]} "
        f"and {width[1]}. Called fake: {100 * sent['called']['none']:.0f} % as they are, {called}, fewer after the others; "
        f"{100 * sent['turned']:.0f} % change sides at least once."
    )


def _campaign(name: str) -> Any:
    """What a script wrote to benchmarks/campaigns."""
    return json.loads((ROOT / "benchmarks" / "campaigns" / f"{name}.json").read_text(encoding="utf-8"))


def _of(standing: Standing, family: str) -> float:
    return standing.runs[inputs().standings.families.index(family)].result.ap.value


def _chance(standing: Standing, family: str) -> float:
    result = standing.runs[inputs().standings.families.index(family)].result
    return result.n_fake / (result.n_fake + result.n_real)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


TABLES: dict[str, Callable[[], str]] = {
    "leaderboard": leaderboard,
    "limits": limits,
    "families": families,
    "public": public,
    "public-asked": asked,
    "public-families": public_families,
    "official": official,
    "onnx": onnx,
    "probes": probes,
    "neighbours": neighbours,
    "development": development,
    "development-spectra": lambda: development("development-spectra"),
    "in-use": in_use,
    "default": default_facts,
}
