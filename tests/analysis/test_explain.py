"""Where a logit comes from: exact maps, squares in the right place, an overlay that says which way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cnndetect.analysis.explain import class_activation, explain, occlusion, overlay, save_overlay
from cnndetect.detectors.base import Detector
from cnndetect.detectors.calibration import calibrated
from cnndetect.detectors.fusion import Fusion
from cnndetect.detectors.networks import build
from cnndetect.detectors.networks.resnet import OneLogitResNet50
from cnndetect.errors import DataError, ImageError, ProtocolError, UnknownNameError
from cnndetect.images import to_rgb_array
from cnndetect.score import main
from cnndetect.scoring import score


class Pooled(nn.Module):
    """A small network that ends as ResNets do; ``twist`` breaks the decomposition behind the pooling."""

    def __init__(self, *, twist: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, stride=4)
        self.pool, self.linear, self.twist = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(6, 1), twist

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(self.conv(images).relu()).flatten(1)
        return self.linear(features.tanh() if self.twist else features)


def pooled() -> Pooled:
    """For --detector."""
    return Pooled()


def corner(images: Tensor) -> Tensor:
    """Sees the top left 16x16 pixels alone."""
    return images[:, :, :16, :16].mean(dim=(1, 2, 3))


def picture(height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(70, 100), (300, 211)])
def test_the_map_of_a_sum_has_the_logit_as_its_mean(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    members = [build("efficientnet-lite0").eval(), build("spectrum-short").eval()]
    detector = Detector("sum", Fusion(members, [0.7, -1.3], 0.4))
    found = explain(picture(*size), detector=detector)
    assert found.method == "cam" and found.heat.shape == tuple(-(-side // 16) for side in size)
    assert found.logit == pytest.approx(score(picture(*size), detector=detector, return_logit=True), rel=1e-4)
    # Calibrated, the map is that of the calibrated logit, and an engine takes no larger images whole than before.
    moved = calibrated(replace(detector, threshold_logit=0.3, temperature=2.0))
    again = explain(picture(*size), detector=moved)
    assert again.method == "cam" and again.logit == pytest.approx((found.logit - 0.3) / 2, rel=1e-4)
    assert np.allclose(again.heat, (found.heat - 0.3) / 2, rtol=1e-4, atol=1e-4)
    assert moved.network.whole_pixels == members[0].whole_pixels == 1_200_000
    # A member without a map leaves occlusion, calibrated or not.
    without = Detector("sum", Fusion([members[0], build("tiny").eval()], [1.0, 1.0], 0.0), threshold_logit=0.0, temperature=1.0)
    assert class_activation(calibrated(without), picture()) is None
    assert class_activation(without, picture()) is None


def test_the_mean_of_a_class_activation_map_is_the_logit() -> None:
    network = OneLogitResNet50()
    torch.manual_seed(0)
    nn.init.normal_(network.fc.weight, 0, 0.5)
    nn.init.constant_(network.fc.bias, 0.7)
    detector = Detector("r50", network)
    found = explain(picture(70, 100), detector=detector)
    assert found.method == "cam" and found.heat.shape == (3, 4) and found.size_px == (70, 100)
    assert found.logit == score(picture(70, 100), detector=detector, return_logit=True)
    assert found.heat.mean() == pytest.approx(found.logit, rel=1e-4)
    assert found.at_native_size().shape == (70, 100) and found.heat.std() > 0


def test_a_map_is_local() -> None:
    # One value of the map depends on its own field alone: a change elsewhere leaves it.
    detector, changed = Detector("p", Pooled()), picture()
    first = explain(changed, detector=detector).heat
    changed = changed.copy()
    changed[:8, :8] = 255
    second = explain(changed, detector=detector).heat
    assert not np.isclose(first[0, 0], second[0, 0]) and np.allclose(first[4:, 4:], second[4:, 4:])


def test_a_map_that_does_not_add_up_is_not_given() -> None:
    twisted = Detector("t", Pooled(twist=True))
    assert class_activation(twisted, picture()) is None
    assert explain(picture(), detector=twisted).method == "occlusion"
    for network in (corner, nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1))):
        with pytest.raises(ProtocolError, match="use method='occlusion'"):
            explain(picture(8, 8), detector=network, method="cam")


def test_occlusion_finds_the_corner_that_counts() -> None:
    array = np.full((64, 96, 3), 40, np.uint8)
    array[:16, :16] = 250
    found = explain(array, detector=corner, method="occlusion", patch_px=16, stride_px=16)
    assert found.heat.shape == (4, 6)
    mean = (250 * 256 + 40 * (64 * 96 - 256)) / (64 * 96) / 255
    expected = (250 / 255 - mean) * np.mean(1 / np.array([0.229, 0.224, 0.225]))
    assert found.heat[0, 0] == pytest.approx(expected, rel=1e-4)
    assert np.abs(np.delete(found.heat.ravel(), 0)).max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (20, 33), (65, 64), (31, 200)])
def test_occlusion_covers_every_pixel_of_any_size(size: tuple[int, int]) -> None:
    # A sum over pixels: the squares that cover a cell are told by it, and no cell is left out.
    found = explain(picture(*size), detector=lambda images: images.sum(dim=(1, 2, 3)), method="occlusion")
    assert np.isfinite(found.heat).all() and found.heat.shape == (-(-size[0] // 16), -(-size[1] // 16))


def test_a_large_image_takes_few_squares() -> None:
    seen: list[int] = []

    def count(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images[:, 0, 0, 0]

    found = occlusion(Detector("c", count), np.zeros((600, 450, 3), np.uint8))
    assert sum(seen) <= 257 and max(found.heat.shape) <= 16


def test_the_overlay_is_red_for_fake_and_blue_for_real() -> None:
    array = np.full((64, 64, 3), 128, np.uint8)

    array[:, 32:] = 90
    # Bright is fake: covering the bright half lowers the logit, covering the dark half raises it.
    found = explain(array, detector=lambda images: images.mean(dim=(1, 2, 3)), method="occlusion", patch_px=8, stride_px=8)
    shown = overlay(array, found).astype(int)
    red, blue = shown[:, :28], shown[:, 36:]
    assert (red[..., 0] > red[..., 2]).all() and (blue[..., 2] > blue[..., 0]).all()
    assert np.array_equal(overlay(array, found, scale=1e9)[:, :, 0], np.asarray(Image.fromarray(array).convert("L")))
    with pytest.raises(ProtocolError, match="Expected the image that was explained"):
        overlay(array[:32], found)


def test_an_explanation_shows_itself() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    found = explain(image, detector=lambda batch: batch.mean((1, 2, 3)))
    assert found.image is not None and (found.image == image).all()
    shown = found._repr_png_()
    assert shown is not None and shown.startswith(b"\x89PNG")
    figure = found.figure(title="mine")
    assert figure.axes[0].get_title(loc="left") == "mine" and figure._repr_png_().startswith(b"\x89PNG")
    # A map whose image was not kept says so.
    bare = replace(found, image=None)
    assert bare._repr_png_() is None
    with pytest.raises(ProtocolError, match="has no image"):
        bare.figure()


def test_wrong_options_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'occlusion'"):
        explain(picture(), detector=corner, method="oclusion")
    with pytest.raises(ProtocolError, match="1 <= stride_px <= patch_px"):
        explain(picture(), detector=corner, patch_px=8, stride_px=9)
    with pytest.raises(ImageError, match="does not exist"):
        explain(tmp_path / "none.png", detector=corner)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        save_overlay(picture(), explain(picture(), detector=corner), tmp_path / "file" / "out.png")


def test_the_command_draws_one_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "a.png", tmp_path / "out.png"
    Image.fromarray(picture()).save(photo)
    words = ["--detector", f"{__name__}:pooled", "--explain", str(out)]
    assert main([str(photo), *words]) == 0
    answer = capsys.readouterr()
    assert answer.out.endswith(f"\t{photo}\n") and "red speaks for fake" in answer.err and "mean of the map = logit" in answer.err
    assert to_rgb_array(out).shape == (6 * 64, 6 * 2 * 96, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "out.png"]
    assert main([str(photo), str(photo), *words]) == 2 and "Expected one image" in capsys.readouterr().err
    # A format that is not known is named before anything is scored.
    assert main([str(photo), *words[:-1], str(tmp_path / "out.svg")]) == 2 and capsys.readouterr().out == ""
