"""The sections that need nothing but stored scores: leaderboard, forest, families, comparisons, conditions."""

from __future__ import annotations

import numpy as np

from cnndetect.bench.standings import Standing
from cnndetect.bench.tables import COLUMNS as FIGURE_TITLES
from cnndetect.bench.tables import percent
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.curves import curve, precision_recall, roc
from cnndetect.report.figures.histograms import histogram, histograms
from cnndetect.report.figures.leaderboard import forest, leaderboard
from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Block, Cell, Data, Drawing, Section, Table, Value

_MEANS = ("auc", "accuracy_real", "accuracy_fake", "accuracy_real_fitted", "accuracy_fake_fitted", "tpr_at_fpr_1", "ece")
NONE = Value("-", np.nan)
_SAW = {True: "ProGAN only", False: "more than ProGAN", None: "not said"}


def leaderboard_section(inputs: Inputs) -> Section:
    """Detectors, best first."""
    found = inputs.standings
    ranked = {s.detector: s.macro for s in found.complete}
    head = ["detector", "rank", "macro mean AP", "pooled AP", *(FIGURE_TITLES[name] for name in _MEANS), "failed", "trained on"]
    rows = [_standing_cells(standing) for standing in found.complete]
    for detector, lacks in sorted(found.incomplete.items()):
        rows.append([detector, NONE, Value(f"lacks {', '.join(lacks)}", np.nan), *[NONE] * (len(head) - 4), ""])
    data = Data(
        [
            "detector",
            "rank",
            "rank_low",
            "rank_high",
            "macro_ap",
            "macro_ap_low",
            "macro_ap_high",
            "pooled_ap",
            "pooled_ap_low",
            "pooled_ap_high",
            *_MEANS,
            "failed",
            "progan_only",
        ],
        [
            [
                s.detector,
                s.rank,
                s.rank_low,
                s.rank_high,
                *parts(s.macro),
                *parts(s.pooled),
                *(s.means[n] for n in _MEANS),
                s.failed,
                "" if s.provenance.progan_only is None else s.provenance.progan_only,
            ]
            for s in found.complete
        ],
    )
    drawings = (
        [
            Drawing(
                "leaderboard",
                leaderboard(ranked),
                "Macro mean AP with its 95 % interval, best first.",
                "Leaderboard: " + "; ".join(f"{name} {percent(interval)}" for name, interval in ranked.items()),
                Data(["detector", "macro_ap", "low", "high"], [[name, *parts(interval)] for name, interval in ranked.items()]),
                wide=True,
            )
        ]
        if ranked
        else []
    )
    caption = "Percent. Columns after pooled AP are means over families. * at the threshold frozen on validation."
    return Section(
        "Leaderboard",
        "leaderboard",
        [
            "Average precision (AP) asks whether fakes are ranked above reals; it needs no threshold. **Macro mean AP** is the mean over "
            "families, each with the same weight. **Pooled AP** ranks all families together on one scale and falls when a detector's "
            "scores mean different things in different families.",
            "Intervals are 95 % intervals over photographs, not over runs of training: they say how far the choice of pictures "
            "moves a number. The interval of the rank counts, draw by draw, which place a detector takes.",
            "**Not to be read as:** accuracy in the wild. Half of these pictures are fake, and accuracy at a threshold (columns acc) can "
            "be poor where AP is high.",
        ],
        [Block(drawings=drawings, tables=[Table("leaderboard-table", caption, head, rows, data)])],
    )


def forest_section(inputs: Inputs) -> Section:
    """AP of every detector on every family."""
    detectors, names = inputs.detectors, inputs.families
    table = {n: {d: ap for d in detectors if (ap := inputs.average_precision(d, n)) is not None} for n in names}
    chance = {n: _share_of_fakes(inputs, n) for n in names}
    drawings = []
    for name in names:
        drawn = forest(table, detectors=detectors, chance=chance, only=[name])
        words = "; ".join(f"{d} {percent(ap)}" for d, ap in table[name].items())
        points = [[name, d, *parts(ap), chance[name]] for d, ap in table[name].items()]
        data = Data(["family", "detector", "ap", "low", "high", "chance"], points)
        drawings.append(Drawing(f"forest-{name}", drawn, _images_of(inputs, name), f"AP on {name}: {words}", data))
    head = ["family", *detectors, "real", "fake"]
    rows: list[list[Cell]] = []
    for name in names:
        real, fake = _counts(inputs, name)
        rows.append([name, *(_percent_cell(table[name].get(d)) for d in detectors), Value(str(real), real), Value(str(fake), fake)])
    data = Data(
        ["family", "detector", "ap", "low", "high", "n_real", "n_fake"],
        [[name, d, *parts(ap), *_counts(inputs, name)] for name in names for d, ap in table[name].items()],
    )
    return Section(
        "AP per family and detector",
        "forest",
        [
            "One panel per generator family, one row per detector, all panels on one axis. The bar is the 95 % interval, the dotted line is "
            "chance: the AP of random scores, which is the share of fakes. Read across panels which families a detector was not made for.",
            "**Not to be read as:** overlapping bars mean no difference. Detectors saw the same pictures, so their errors go together; the "
            "paired comparison below decides.",
        ],
        [Block(drawings=drawings, tables=[Table("ap-per-family", "AP in percent, with 95 % intervals.", head, rows, data)])],
    )


def families_section(inputs: Inputs) -> Section:
    """Curves and histograms, family by family."""
    blocks = []
    for name in inputs.families:
        sets = inputs.scores(name)
        thresholds = {d: inputs.rows[d][name].result.threshold_logit for d in sets}
        curves = {d: curve(scores) for d, scores in sets.items()}
        points = [[d, *point] for d, c in curves.items() for point in zip(c.thresholds, c.false_rate, c.true_rate, strict=True)]
        steps = [[d, *point] for d, c in curves.items() for point in zip(c.thresholds, c.true_rate, c.precision, strict=True)]
        counted = {d: histogram(scores, threshold=thresholds[d]) for d, scores in sets.items()}
        bins = [
            [d, *cells, thresholds[d]] for d, h in counted.items() for cells in zip(h.edges[:-1], h.edges[1:], h.real, h.fake, strict=True)
        ]
        who = ", ".join(sets)
        blocks.append(
            Block(
                name,
                [
                    Drawing(
                        f"roc-{name}",
                        roc(sets, detectors=inputs.detectors, title=f"{name}: ROC"),
                        "Dotted: chance.",
                        f"Receiver operating characteristic on {name} of {who}",
                        Data(["detector", "threshold_logit", "false_rate", "true_rate"], points),
                    ),
                    Drawing(
                        f"pr-{name}",
                        precision_recall(sets, detectors=inputs.detectors, title=f"{name}: precision-recall"),
                        "Dotted: chance.",
                        f"Precision and recall on {name} of {who}",
                        Data(["detector", "threshold_logit", "recall", "precision"], steps),
                    ),
                    Drawing(
                        f"scores-{name}",
                        histograms(sets, thresholds=thresholds, title=f"{name}: real against fake"),
                        "Line: threshold frozen on validation; dotted: 0, where there is none.",
                        f"Histograms of the scores of real and fake images of {name}, for {who}",
                        Data(["detector", "from_logit", "to_logit", "share_of_real", "share_of_fake", "threshold_logit"], bins),
                    ),
                ],
            )
        )
    return Section(
        "Family by family: curves and scores",
        "families",
        [
            "**ROC**: for every threshold, the share of fakes found against the share of reals accused. **Precision-recall**: of the images "
            "called fake, how many are; the area under its steps is the AP of the tables. **Histograms**: reals upward, fakes downward, each "
            "on its detector's own scale.",
            "The line in a histogram is the threshold that was frozen on validation images before this suite was seen. Where both classes lie "
            "on one side of it, AP can be high while accuracy at the threshold is 50 %: the detector ranks well and is calibrated badly.",
            "**Not to be read as:** precision in the wild. Precision depends on the share of fakes, here about one half.",
        ],
        blocks,
    )


def _standing_cells(s: Standing) -> list[Cell]:
    rank = f"{s.rank:g}" + ("" if np.isnan(s.rank_low) else f" [{s.rank_low:g}, {s.rank_high:g}]")
    means = [Value("-" if np.isnan(s.means[name]) else f"{100 * s.means[name]:.1f}", s.means[name]) for name in _MEANS]
    failed = Value(str(s.failed), s.failed)
    return [
        s.detector,
        Value(rank, s.rank),
        _percent_cell(s.macro),
        _percent_cell(s.pooled),
        *means,
        failed,
        _SAW[s.provenance.progan_only],
    ]


def _percent_cell(interval: Interval | None) -> Cell:
    return NONE if interval is None else Value(percent(interval), interval.value)


def parts(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


def points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _counts(inputs: Inputs, family: str) -> tuple[int, int]:
    result = next(row[family].result for row in inputs.rows.values() if family in row)
    return result.n_real, result.n_fake


def _share_of_fakes(inputs: Inputs, family: str) -> float:
    real, fake = _counts(inputs, family)
    return fake / (real + fake)


def _images_of(inputs: Inputs, family: str) -> str:
    real, fake = _counts(inputs, family)
    return f"{real} real, {fake} fake."
