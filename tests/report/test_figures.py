"""Figures: what they draw is what the metrics say; they leave matplotlib alone, and an SVG of theirs fits into any page."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import trapezoid
from sklearn.metrics import precision_recall_curve, roc_curve

from cnndetect.metrics import average_precision, roc_auc
from cnndetect.metrics.intervals import Interval, SetScores
from cnndetect.report.figures.comparison import difference_matrix
from cnndetect.report.figures.curves import curve, precision_recall, roc
from cnndetect.report.figures.histograms import histogram, histograms
from cnndetect.report.figures.leaderboard import forest, leaderboard
from cnndetect.report.figures.style import CSS_NAMES, DARK, SERIES, SURFACE, colour_of, css_variables, inline_svg, png_bytes, svg_text


def drawn(seed: int = 0, count: int = 60, *, ties: bool = False) -> SetScores:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], count)
    logits = rng.normal(size=2 * count) + labels
    return SetScores(labels, logits.round(1) if ties else logits, np.arange(2 * count).astype(str))


AP = Interval(0.8, 0.7, 0.9)
EVERY = {
    "leaderboard": lambda: leaderboard({"a": AP, "b": Interval(0.6, 0.5, 0.7)}),
    "forest": lambda: forest({"crn": {"a": AP}, "san": {"a": AP, "b": AP}}, detectors=["a", "b"], chance={"crn": 0.5}),
    "roc": lambda: roc({"a": drawn()}),
    "precision_recall": lambda: precision_recall({"a": drawn(), "b": drawn(1)}),
    "histograms": lambda: histograms({"a": drawn()}, thresholds={"a": 0.3}),
    "difference_matrix": lambda: difference_matrix(["a", "b"], {("a", "b"): Interval(-0.1, -0.2, -0.05)}),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_is_a_figure_without_global_state(name) -> None:
    before = dict(matplotlib.rcParams)
    figure = EVERY[name]()
    assert isinstance(figure, Figure) and dict(matplotlib.rcParams) == before
    assert png_bytes(figure).startswith(b"\x89PNG")
    # The same twice, so that a page made again is the same page.
    assert svg_text(EVERY[name]()) == svg_text(EVERY[name]())


def test_figures_never_load_pyplot() -> None:
    modules = ", ".join(f"cnndetect.report.figures.{name}" for name in ("leaderboard", "curves", "histograms", "comparison"))
    subprocess.run([sys.executable, "-c", f"import sys, {modules}; assert 'matplotlib.pyplot' not in sys.modules"], check=True)


@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_those_of_scikit_learn(ties) -> None:
    scores = drawn(ties=ties)
    found = curve(scores)
    false, true, thresholds = roc_curve(scores.labels, scores.logits, drop_intermediate=False)
    np.testing.assert_allclose(found.false_rate, false[1:], atol=1e-12)
    np.testing.assert_allclose(found.true_rate, true[1:], atol=1e-12)
    np.testing.assert_allclose(found.thresholds, thresholds[1:])
    precision, recall, _ = precision_recall_curve(scores.labels, scores.logits)
    np.testing.assert_allclose(found.precision, precision[-2::-1], atol=1e-12)
    np.testing.assert_allclose(found.true_rate, recall[-2::-1], atol=1e-12)


def test_the_drawn_areas_are_the_figures_of_the_tables() -> None:
    scores = drawn(ties=True)
    line = roc({"a": scores}).axes[0].lines[1]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert trapezoid(y, x) == pytest.approx(roc_auc(scores.labels, scores.logits))

    line = precision_recall({"a": scores}).axes[0].lines[1]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert line.get_drawstyle() == "steps-pre"
    assert (np.diff(x) * y[1:]).sum() == pytest.approx(average_precision(scores.labels, scores.logits))


def test_legends_name_the_figures() -> None:
    scores = drawn()
    words = roc({"a": scores}).legends[0].texts[0].get_text()
    assert words == f"a  AUC {100 * roc_auc(scores.labels, scores.logits):.1f}"


def test_histograms_count_every_image_and_cut_at_the_threshold() -> None:
    scores = drawn()
    logits = scores.logits.copy()
    logits[0], logits[-1] = np.inf, -np.inf  # failed images at their worst
    found = histogram(SetScores(scores.labels, logits, scores.clusters), threshold=0.3, bins=17)
    assert found.real.sum() == pytest.approx(1) and found.fake.sum() == pytest.approx(1)
    assert np.isclose(found.edges, 0.3).any() and found.real[-1] > 0 and found.fake[0] > 0
    above = found.edges[:-1] >= 0.3 - 1e-9
    assert found.fake[above].sum() == pytest.approx((logits[scores.labels == 1] > 0.3).mean())


def test_equal_scores_still_have_a_histogram() -> None:
    found = histogram(SetScores(np.array([0, 1]), np.zeros(2), np.array(["a", "b"])))
    assert found.real.sum() == found.fake.sum() == 1


@pytest.mark.parametrize("threshold", [-50.0, 50.0])
def test_a_frozen_threshold_is_always_in_sight(threshold) -> None:
    axes = histograms({"a": drawn()}, thresholds={"a": threshold}).axes[0]
    low, high = axes.get_xlim()
    assert low < threshold < high


def test_the_forest_has_one_axis_for_all_panels() -> None:
    families = {"crn": {"a": Interval(0.99, 0.98, 1.0)}, "san": {"a": Interval(0.45, 0.41, 0.5)}}
    one = forest(families, detectors=["a"], only=["crn"]).axes
    assert len(one) == 1 and one[0].get_xlim() == forest(families, detectors=["a"]).axes[1].get_xlim()
    assert one[0].get_xlim()[0] <= 41


def test_a_missing_result_is_said_and_not_drawn_as_zero() -> None:
    words = [text.get_text() for text in forest({"crn": {"a": AP}}, detectors=["a", "b"]).axes[0].texts]
    assert words == ["80.0", "no result"]


def test_only_differences_that_exclude_zero_are_coloured() -> None:
    pairs = {("a", "b"): Interval(0.1, 0.05, 0.2), ("a", "c"): Interval(0.1, -0.1, 0.2), ("b", "c"): Interval(0.0, -0.1, 0.1)}
    figure = difference_matrix(["a", "b", "c"], pairs)
    assert len(figure.axes[0].patches) == 3 + 2  # the diagonal, and (a, b) with its mirror
    weights = [text.get_fontweight() for text in figure.axes[0].texts]
    assert weights == ["bold", "normal", "bold", "normal", "normal", "normal"]


def test_an_inline_svg_has_no_colour_of_its_own_and_ids_of_its_own() -> None:
    svg = svg_text(EVERY["forest"]())
    one, other = (inline_svg(svg, prefix=prefix, label='AP of "a" < b') for prefix in ("one", "other"))
    root = ElementTree.fromstring(one.replace("xlink:href", "href"))
    assert root.attrib["aria-label"] == 'AP of "a" < b' and root.attrib["role"] == "img"
    assert not [colour for colour in CSS_NAMES if colour in one] and "var(--f-ink)" in one
    ids = [set(re.findall(r'id="([^"]+)"', text)) for text in (one, other)]
    assert ids[0] and not ids[0] & ids[1]
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', one))
    assert used and used <= ids[0]


def test_every_colour_reads_on_its_page() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert set(DARK) == set(CSS_NAMES) and len(set(DARK.values())) == len(DARK)
    drawn_colours = [colour for colour in CSS_NAMES if CSS_NAMES[colour] not in ("--f-grid", "--f-surface")]
    # WCAG 1.4.11: graphics need 3 to 1.  1.4.3: words need 4.5 to 1.
    assert min(contrast(colour, SURFACE) for colour in drawn_colours) >= 3
    assert min(contrast(DARK[colour], DARK[SURFACE]) for colour in drawn_colours) >= 3
    for name in ("--f-ink", "--f-muted", "--f-real"):
        colour = next(key for key, value in CSS_NAMES.items() if value == name)
        assert contrast(colour, SURFACE) >= 4.5 and contrast(DARK[colour], DARK[SURFACE]) >= 4.5
    assert css_variables(dark=True).count(":") == len(CSS_NAMES)


def test_more_detectors_than_hues_are_drawn_muted() -> None:
    assert colour_of(len(SERIES)) not in SERIES
    many = {f"d{place}": drawn(place) for place in range(len(SERIES) + 2)}
    assert len(roc(many).axes[0].lines) == len(many) + 1


@pytest.mark.parametrize("name", ["comparison", "curves", "histograms", "leaderboard", "style"])
def test_examples_run(name) -> None:
    found = doctest.testmod(importlib.import_module(f"cnndetect.report.figures.{name}"))
    assert found.attempted > 0 and not found.failed
