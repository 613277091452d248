"""The sections that need nothing but stored scores: the leaderboards, AP per family, and every family on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndetect.bench.standings import Standing
from cnndetect.bench.tables import COLUMNS as FIGURE_TITLES
from cnndetect.bench.tables import percent
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.curves import curve, precision_recall, roc
from cnndetect.report.figures.histograms import histogram, histograms
from cnndetect.report.figures.leaderboard import forest
from cnndetect.report.inputs import Inputs, Ranking
from cnndetect.report.lead import lead_words
from cnndetect.report.page import Block, Cell, Data, Drawing, Link, Section, Table, Value

# Of these the page shows some, the CSV all.
_MEANS = ("auc", "accuracy_real", "accuracy_fake", "accuracy_real_fitted", "accuracy_fake_fitted", "tpr_at_fpr_1", "ece")
_SHOWN = ("auc", "accuracy_real_fitted", "accuracy_fake_fitted", "tpr_at_fpr_1", "ece")
NONE = Value("-", np.nan)


def leaderboard_section(inputs: Inputs) -> Section:
    """A table for every ranking, best first."""
    several = len(inputs.rankings) > 1
    blocks = [
        Block(
            ranking.title if several else "",
            tables=[_table("leaderboard-table" + f"-{place}" * (place > 1), ranking, inputs.resynthesised)],
        )
        for place, ranking in enumerate(inputs.rankings, 1)
    ]
    return Section(
        "Who ranks first",
        "leaderboard",
        [
            "Average precision (AP) asks whether fakes are ranked above reals; it needs no threshold. **Macro mean AP** is the mean over "
            "families, each with the same weight. **Pooled AP** ranks all families together on one scale and falls when a detector's "
            "scores mean different things in different families.",
            "Intervals are 95 % intervals over photographs, not over runs of training: they say how far the choice of pictures "
            "moves a number. The interval of the rank says which places the detector takes on other photographs.",
        ],
        blocks,
        finding=lead_words(inputs.standings.complete),
        caution="This is not accuracy in the wild. Half of these pictures are fake, and the accuracies (acc) at a frozen threshold can be "
        "poor where AP is high. Detectors of two tables are not ranked against each other: they learned from different data.",
    )


def _table(name: str, ranking: Ranking, resynthesised: Sequence[str]) -> Table:
    found = ranking.standings
    head = ["detector", "rank", "macro mean AP", *(FIGURE_TITLES[figure] for figure in _SHOWN), "pooled AP", "failed"]
    best = {figure: _best(found.complete, figure) for figure in _SHOWN}
    rows: list[list[Cell]] = [_standing_cells(standing, best) for standing in found.complete]
    for detector, lacks in sorted(found.incomplete.items()):
        rows.append([detector, NONE, Value(f"lacks {', '.join(lacks)}", np.nan), *[NONE] * (len(head) - 3)])
    columns = ["rank", "rank_low", "rank_high", "macro_ap", "macro_ap_low", "macro_ap_high", "pooled_ap", "pooled_ap_low", "pooled_ap_high"]
    data = Data(
        ["detector", *columns, *_MEANS, "failed", "progan_only"],
        [
            [s.detector, s.rank, s.rank_low, s.rank_high, *parts(s.macro), *parts(s.pooled), *(s.means[n] for n in _MEANS), s.failed,
             "" if s.provenance.progan_only is None else s.provenance.progan_only]
            for s in found.complete
        ],
    )  # fmt: skip
    caption = f"{ranking.title}. Percent; from AUC to ECE means over families, the best one bold. * at the threshold frozen on validation."
    painted = [detector for detector in found.detectors if detector in resynthesised]
    if painted:
        caption += f" {', '.join(painted)}: trained on photographs passed through a generator's decoder, not on samples from noise."
    return Table(name, caption, head, rows, data)


def _best(complete: tuple[Standing, ...], figure: str) -> float:
    """The best value of a column; of the calibration error, the least."""
    values = [standing.means[figure] for standing in complete if not np.isnan(standing.means[figure])]
    return np.nan if len(values) < 2 else min(values) if figure == "ece" else max(values)


def _standing_cells(s: Standing, best: dict[str, float]) -> list[Cell]:
    rank = f"{s.rank:g}" + ("" if np.isnan(s.rank_low) else f" [{s.rank_low:g}, {s.rank_high:g}]")
    means = [
        NONE if np.isnan(s.means[name]) else Value(f"{100 * s.means[name]:.1f}", s.means[name], strong=s.means[name] == best[name])
        for name in _SHOWN
    ]
    macro = Value(percent(s.macro), s.macro.value, strong=s.rank == 1)
    return [s.detector, Value(rank, s.rank), macro, *means, _percent_cell(s.pooled), Value(str(s.failed), s.failed)]


def forest_section(inputs: Inputs) -> Section:
    """AP of every detector on every family, each figure with a link to the pictures behind it."""
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
        # Detectors of another table are not ranked with these.
        best = max((ap.value for d, ap in table[name].items() if d in inputs.standings.detectors), default=np.nan)
        cells = [_linked(inputs, name, d, table[name].get(d), best if d in inputs.standings.detectors else np.nan) for d in detectors]
        rows.append([Link(name, f"#family-{name}"), *cells, Value(str(real), real), Value(str(fake), fake)])
    data = Data(
        ["family", "detector", "ap", "low", "high", "n_real", "n_fake"],
        [[name, d, *parts(ap), *_counts(inputs, name)] for name in names for d, ap in table[name].items()],
    )
    pictures = " Press a figure to see its pictures, ranked by that detector." if inputs.has_pictures else ""
    caption = f"AP in percent with 95 % intervals, the best of the first table bold.{pictures}"
    return Section(
        "Family by family",
        "forest",
        [
            "One row per generator family. In the charts below all panels share one axis, the bar is the 95 % interval, and the dotted line "
            "is chance: the AP of random scores, which is the share of fakes.",
        ],
        [Block(tables=[Table("ap-per-family", caption, head, rows, data)]), Block("The same as charts", drawings, folded=True)],
        finding=_hardest(inputs, table),
        caution="Bars that overlap do not mean that there is no difference. The detectors saw the same pictures, so their errors go "
        "together; the paired comparison decides.",
    )


def _hardest(inputs: Inputs, table: dict[str, dict[str, Interval]]) -> str:
    """The family on which the best detector of the first table reaches least."""
    main = set(inputs.standings.detectors)
    tops = {name: max(((ap.value, d) for d, ap in row.items() if d in main), default=(np.nan, "")) for name, row in table.items()}
    known = {name: top for name, top in tops.items() if not np.isnan(top[0])}
    if len(known) < 2:
        return ""
    name = min(known, key=lambda n: known[n][0])
    above = sum(top[0] >= 0.95 for top in known.values())
    best, who = known[name]
    return (
        f"The hardest family is **{name}**: the best detector there, {who}, reaches an AP of {100 * best:.1f} %. "
        f"On {above} of {len(known)} families some detector reaches 95 %."
    )


def _linked(inputs: Inputs, family: str, detector: str, ap: Interval | None, best: float) -> Cell:
    if ap is None:
        return NONE
    link = f"images/{family}.html#{detector}" if inputs.has_pictures else f"#family-{family}"
    return Value(percent(ap), ap.value, strong=ap.value == best, link=link)


def families_section(inputs: Inputs) -> Section:
    """Curves and histograms, family by family, each folded."""
    blocks = [Block(name, _family_drawings(inputs, name), folded=True, anchor=f"family-{name}") for name in inputs.families]
    return Section(
        "Curves and scores of every family",
        "families",
        [
            "**ROC**: for every threshold, the share of fakes found against the share of reals accused. **Precision-recall**: of the images "
            "called fake, how many are; the area under its steps is the AP of the tables. **Histograms**: reals upward, fakes downward, each "
            "on its detector's own scale.",
            "The line in a histogram is the threshold that was frozen on validation images before this suite was seen. Where both classes lie "
            "on one side of it, AP can be high while accuracy at the threshold is 50 %: the detector ranks well and is calibrated badly.",
        ],
        blocks,
        caution="Precision here is not precision in the wild: it depends on the share of fakes, here about one half.",
    )


def _family_drawings(inputs: Inputs, name: str) -> list[Drawing]:
    sets = inputs.scores(name)
    thresholds = {d: inputs.rows[d][name].result.threshold_logit for d in sets}
    curves = {d: curve(scores) for d, scores in sets.items()}
    points = [[d, *point] for d, c in curves.items() for point in zip(c.thresholds, c.false_rate, c.true_rate, strict=True)]
    steps = [[d, *point] for d, c in curves.items() for point in zip(c.thresholds, c.true_rate, c.precision, strict=True)]
    counted = {d: histogram(scores, threshold=thresholds[d]) for d, scores in sets.items()}
    bins = [[d, *cells, thresholds[d]] for d, h in counted.items() for cells in zip(h.edges[:-1], h.edges[1:], h.real, h.fake, strict=True)]
    who = ", ".join(sets)
    return [
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
