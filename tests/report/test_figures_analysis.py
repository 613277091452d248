"""Figures of the analyses: what is drawn is what was given, in order, and pyplot stays out."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs 'cnndetect[report]'")

from cnndetect.analysis.explain import Explanation
from cnndetect.analysis.spectra import Spectrum, radial_profile
from cnndetect.metrics.intervals import Interval
from cnndetect.report.figures.analysis import contact_sheet, correlation_dots, explanations, radial_profiles, spectra
from cnndetect.report.figures.robustness import degradation_dots, paper_curves, shift_dots
from cnndetect.report.figures.style import FAKE, REAL, png_bytes


@dataclass(frozen=True)
class Point:
    degradation: str
    ap: Interval
    real_shift: Interval = Interval(1.0, 0.5, 1.5)
    fake_shift: Interval = Interval(-1.0, -1.5, -0.5)
    resized: bool = False


def points(*names: str) -> list[Point]:
    return [Point(name, Interval(0.9 - 0.1 * k, 0.8 - 0.1 * k, 0.95), resized=name == "web") for k, name in enumerate(names)]


def spectrum(seed: int) -> Spectrum:
    return Spectrum(np.random.default_rng(seed).uniform(0.5, 2, (16, 16)), 3)


def test_the_papers_curves_have_sigma_and_falling_quality_along_their_axes() -> None:
    blur, jpeg = {"crn": {"d": points("none", "blur_1", "blur_2.5")}}, {"crn": {"d": points("none", "jpeg_90", "jpeg_30")}}
    left, right = paper_curves(blur, jpeg, detectors=["d"]).axes
    assert left.lines[0].get_xdata().tolist() == [0.0, 1.0, 2.5]
    assert np.allclose(left.lines[0].get_ydata(), [90, 80, 70])
    assert right.lines[0].get_xdata().tolist() == [105.0, 90.0, 30.0] and right.get_xlim()[0] > right.get_xlim()[1]
    assert left.get_ylim() == right.get_ylim()


def test_rows_of_degradations_keep_their_order_and_star_other_sizes() -> None:
    curves = {"a": points("none", "jpeg_50", "web"), "b": points("none", "web")}
    (panel,) = degradation_dots(curves, detectors=["a", "b"]).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["none", "jpeg_50", "web *"]
    dots = [line for line in panel.lines if line.get_marker() not in ("None", "")]
    assert np.allclose(dots[0].get_xdata(), [90, 80, 70]) and np.allclose(np.round(dots[1].get_ydata()), [0, 2])


def test_shifts_are_blue_for_reals_and_orange_for_fakes_and_the_image_itself_is_left_out() -> None:
    (panel,) = shift_dots(points("none", "blur_1"), spread=2.0).axes
    dots = {line.get_color(): line.get_xdata() for line in panel.lines if line.get_marker() not in ("None", "")}
    assert dots == {REAL: [1.0], FAKE: [-1.0]}
    assert [label.get_text() for label in panel.get_yticklabels()] == ["blur_1"]


def test_spectra_show_fakes_reals_and_their_difference_on_common_scales() -> None:
    sets = {"crn": (spectrum(0), spectrum(1)), "san": (spectrum(2), spectrum(3))}
    drawn = [axes.images[0] for axes in spectra(sets).axes[:6]]
    assert np.array_equal(drawn[0].get_array(), sets["crn"][1].log) and np.array_equal(drawn[2].get_array(), sets["crn"][0].log)
    assert np.array_equal(drawn[5].get_array(), sets["san"][1].log - sets["san"][0].log)
    assert len({image.get_clim() for image in drawn[:4]}) == 1 and drawn[4].get_clim() == drawn[5].get_clim()
    assert drawn[4].get_clim()[0] == -drawn[4].get_clim()[1]


def test_profiles_are_the_radial_means_of_the_logarithms() -> None:
    real, fake = spectrum(0), spectrum(1)
    first, second = radial_profiles({"crn": (real, fake)}).axes[0].lines
    assert np.array_equal(first.get_ydata(), radial_profile(real.log)[1]) and second.get_color() == FAKE


def test_sheets_keep_the_order_and_every_figure_becomes_a_png() -> None:
    # Another package may have brought it in before; the figures must not.
    before = "matplotlib.pyplot" in sys.modules
    images = [(np.full((8, 8, 3), 40 * k, np.uint8), float(k)) for k in range(4)]
    sheet = contact_sheet(images, title="crn")
    assert [axes.get_title() for axes in sheet.axes] == ["0.0", "1.0", "2.0", "3.0"]
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in sheet.axes] == [0, 40, 80, 120]
    one = Explanation("cam", -0.5, np.array([[-1.0, 0.0]]), (8, 8))
    figures = [sheet, explanations([("a", images[1][0], one)]), correlation_dots({"crn": {"sharpness, fake": Interval(0.2, 0.1, 0.3)}})]
    for figure in figures:
        assert png_bytes(figure, dots_per_inch=40).startswith(b"\x89PNG")
    assert ("matplotlib.pyplot" in sys.modules) == before
