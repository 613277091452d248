"""Parity: the reference's demo, demo_dir and eval, restated in plain torchvision and scikit-learn, give what we give."""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from official_checkpoint import draw_official_set, random_resnet50, save_official
from PIL import Image
from sklearn.metrics import accuracy_score, average_precision_score
from torch import nn
from torchvision import models, transforms

import cnndetect
from cnndetect.compat import demo, demo_dir, eval, reference
from cnndetect.compat.reference import reference_figures
from cnndetect.scoring.scores import read_scores


@dataclass(frozen=True)
class Plain:
    """What the reference computes: logits and labels by file, and its four figures."""

    logits: dict[str, float]
    labels: dict[str, int]

    def figures(self, names: list[str]) -> dict[str, float]:
        y_true = np.array([self.labels[name] for name in names])
        y_pred = torch.tensor([self.logits[name] for name in names], dtype=torch.float32).sigmoid().numpy()
        right = y_pred > 0.5
        return {
            "ap": average_precision_score(y_true, y_pred),
            "accuracy": accuracy_score(y_true, right),
            "accuracy_real": accuracy_score(y_true[y_true == 0], right[y_true == 0]),
            "accuracy_fake": accuracy_score(y_true[y_true == 1], right[y_true == 1]),
        }


@functools.cache
def plain_network(checkpoint: Path) -> nn.Module:
    network = models.resnet50(num_classes=1)
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["model"])
    return network.eval()


def restated(network: nn.Module, root: Path, *, crop_px: int | None) -> Plain:
    """demo, demo_dir and eval: RGB, perhaps the middle square, ToTensor, ImageNet normalisation, one image at a time."""
    steps = [transforms.CenterCrop(crop_px)] if crop_px else []
    steps += [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    transform = transforms.Compose(steps)
    logits, labels = {}, {}
    for path in sorted(root.rglob("*.png")):
        with torch.no_grad():
            name = path.relative_to(root).as_posix()
            logits[name] = network(transform(Image.open(path).convert("RGB"))[None]).item()
            labels[name] = int(path.parent.name == "1_fake")
    return Plain(logits, labels)


@pytest.fixture(scope="module")
def dataroot(tmp_path_factory) -> Path:
    """cyclegan: small images of two classes, for the native size.  biggan: around 224 px, for the crop."""
    root = tmp_path_factory.mktemp("test")
    draw_official_set(root / "cyclegan", [(60, 91), (97, 64), (60, 91)])
    draw_official_set(root / "biggan", [(231, 300), (150, 225)], classes=("",))
    return root


CROPS = {"cyclegan": None, "biggan": 224}


@dataclass(frozen=True)
class Case:
    """A checkpoint, and what the reference gives with it on its test set."""

    checkpoint: Path
    plain: Plain


@pytest.fixture(scope="module")
def cases(dataroot, tmp_path_factory) -> dict[str, Case]:
    """By test set: random weights whose logits on it have both signs and are spread."""
    network, found = random_resnet50(), {}
    for name, crop_px in CROPS.items():
        values = torch.tensor(list(restated(network, dataroot / name, crop_px=crop_px).logits.values()))
        with torch.no_grad():
            # No wider: the features of random weights hardly differ, and stretching them stretches the float32 noise.
            network.fc.weight.mul_(0.5 / values.std())
            network.fc.bias.copy_((network.fc.bias - values.median()) * 0.5 / values.std() - 0.02)
        path = save_official(tmp_path_factory.mktemp("weights") / f"blur_jpg_{name}.pth", network)
        plain = restated(plain_network(path), dataroot / name, crop_px=crop_px)
        spread = np.array(list(plain.logits.values()))
        assert spread.std() > 0.3 and min((spread > 0).sum(), (spread < 0).sum()) >= 1
        found[name] = Case(path, plain)
    return found


@pytest.fixture(autouse=True, scope="module")
def loaded_once():
    """The commands load the checkpoint anew each time, which is most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "load", functools.cache(reference.load))
        yield


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize(("name", "protocol", "options"), [("cyclegan", "nocrop", ["--no_crop"]), ("biggan", "crop224", [])])
def test_eval_gives_the_logits_the_figures_and_the_csv(cases, dataroot, tmp_path, capsys, name, protocol, options) -> None:
    plain, checkpoint = cases[name].plain, cases[name].checkpoint
    figures = plain.figures(list(plain.logits))
    command = ["--dataroot", str(dataroot), "--vals", name, "--model_path", str(checkpoint), "--results_dir", str(tmp_path), *options]
    assert eval.main([*command, "--gpu_ids", "-1", "--batch_size", "3"]) == 0
    scores = read_scores(tmp_path / "scores" / "results" / checkpoint.stem / f"{name}.{protocol}.npz")
    assert list(scores.labels) == [plain.labels[path] for path in scores.paths]
    assert scores.logits == pytest.approx([plain.logits[path] for path in scores.paths], abs=1e-5, rel=0)
    with (tmp_path / f"{checkpoint.stem}.csv").open(newline="") as file:
        title, head, row = csv.reader(file)
    assert title == [f"{checkpoint.stem} model testing on..."] and head == ["testset", "accuracy", "avg precision"]
    assert row[0] == name and [float(cell) for cell in row[1:]] == pytest.approx([figures["accuracy"], figures["ap"]], abs=1e-9)
    # One figure over all classes, and the split that the original throws away; the second run scores nothing.
    capsys.readouterr()
    assert eval.main([*command, "--gpu_ids", "-1", "--json"]) == 0
    assert_same(json.loads(capsys.readouterr().out)[name], figures)


def test_demo_dir_pools_its_folders(cases, dataroot, capsys) -> None:
    native, checkpoint = cases["cyclegan"].plain, cases["cyclegan"].checkpoint
    folders = [str(dataroot / "cyclegan" / name) for name in ("apple", "horse")]
    command = ["-m", str(checkpoint), "--use_cpu", "-b", "4", "-j", "2", "-d"]
    assert demo_dir.main([*command, *folders, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert_same(found, native.figures(list(native.logits)))
    assert (found["n_real"], found["n_fake"]) == (6, 6)
    assert demo_dir.main([*command, folders[1]]) == 0
    figures = native.figures([name for name in native.logits if name.startswith("horse/")])
    line = "AP: {ap:.2f}%, Acc: {accuracy:.2f}%, Acc (real): {accuracy_real:.2f}%, Acc (fake): {accuracy_fake:.2f}%"
    answer = capsys.readouterr().out.splitlines()
    assert answer[0] == "Loading [1] datasets" and answer[2] == "Num reals: 3, Num fakes: 3"
    assert answer[3] == line.format(**{name: 100 * value for name, value in figures.items()})


def test_demo_and_score_give_the_same_image_the_same_figure(cases, dataroot, capsys) -> None:
    # The one nearest to 0, whose percentage tells most.
    native, checkpoint = cases["cyclegan"].plain.logits, cases["cyclegan"].checkpoint
    name = min(native, key=lambda name: abs(native[name]))
    image = dataroot / "cyclegan" / name
    command = ["-f", str(image), "-m", str(checkpoint), "--use_cpu"]
    assert demo.main(command) == 0
    assert capsys.readouterr().out == f"probability of being synthetic: {100 * torch.tensor(native[name]).sigmoid().item():.2f}%\n"
    logit = cnndetect.score(image, detector=reference.load_model(str(checkpoint), use_cpu=True), return_logit=True)
    assert logit == pytest.approx(native[name], abs=1e-5)
    # Another crop than the paper's.
    cut = restated(plain_network(checkpoint), image.parent, crop_px=96).logits[image.name]
    assert demo.main([*command, "-c", "96"]) == 0
    assert capsys.readouterr().out == f"probability of being synthetic: {100 * torch.tensor(cut).sigmoid().item():.2f}%\n"


def test_saturated_sigmoids_tie_as_in_the_reference() -> None:
    # A real at logit 40 and fakes above it: one tie in float32, a ranking in logits.
    labels, logits = [0, 0, 1, 1, 1], [40.0, -3.0, 60.0, 50.0, -200.0]
    pred = torch.tensor(logits, dtype=torch.float32).sigmoid().numpy()
    found = reference_figures(labels, logits)
    assert found.ap == pytest.approx(average_precision_score(labels, pred), abs=1e-12)
    assert found.ap < average_precision_score(labels, logits)
    # Exactly one half is not fake.
    assert reference_figures([0, 1], [0.0, 1.0]).accuracy_real == 1.0 and reference_figures([0, 1], [0.0, 0.0]).accuracy_fake == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_scikit_learn(seed) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 200)
    logits = (rng.normal(0, 12, 200) + 4 * labels).round(int(seed % 2)).astype(np.float32)
    plain = Plain({str(k): float(x) for k, x in enumerate(logits)}, {str(k): int(y) for k, y in enumerate(labels)})
    found = reference_figures(labels, logits)
    assert_same(vars(found), plain.figures(list(plain.logits)))
