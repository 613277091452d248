"""Decoders that paint photographs again: sizes, gradients, seeds, and pairs that no file can tell apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.analysis.audit.classify import cross_validated_ap, metadata_table, trees
from cnndetect.analysis.audit.files import examine
from cnndetect.data.folders import kind_of, scan, spread
from cnndetect.data.photos import split_of
from cnndetect.errors import ProtocolError, WeightsError
from cnndetect.zoo.build import SUITE_SEED, build_suite
from cnndetect.zoo.families.reconstructor import NORMS, UPSAMPLERS, draw_architecture
from cnndetect.zoo.loop import Job
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.resynthesis.config import DrivenConfig
from cnndetect.zoo.resynthesis.crops import Photographs, files_of
from cnndetect.zoo.resynthesis.disturb import disturb
from cnndetect.zoo.resynthesis.losses import energy_loss, gradient_loss, high_bands, sharpness
from cnndetect.zoo.resynthesis.model import Resynthesiser
from cnndetect.zoo.resynthesis.painter import load_painter
from cnndetect.zoo.resynthesis.pairs import build_pairs
from cnndetect.zoo.resynthesis.training import train

CONFIGS = [
    *(DrivenConfig("progan", start_px=px, width=4, fade=fade, noise=0.1) for px, fade in ((8, 1.0), (16, 0.5), (32, 1.0), (64, 0.7))),
    *(DrivenConfig(name, start_px=px, width=4) for name in ("stylegan", "stylegan2", "biggan", "dcgan") for px in (16, 64)),
    *(DrivenConfig("reconstructor", seed=seed) for seed in (1, 2, 3, 7, 9, 11)),
    *(DrivenConfig("progan", start_px=px, width=4, encoder=encoder) for px in (32, 64) for encoder in ("reduced", "mosaic")),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Drawn photographs of 256 px, JPEG, in two categories."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for category in ("cat", "dog"):
        (root / category).mkdir()
        for number in range(20):
            small = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            photo = Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC)
            photo.save(root / category / f"{number:05d}.jpg", quality=86)
    return root


@pytest.fixture(scope="module")
def painter(photos, tmp_path_factory):
    config = DrivenConfig("progan", start_px=64, width=8, steps=150, batch=4, crop_px=32, lr=6e-3, energy=1.0, features=0.0, noise=0.02)
    out = tmp_path_factory.mktemp("decoder")
    return load_painter(train(Photographs(files_of(photos, "train")), config, Job(out, log_steps=20)))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.family}-{config.start_px}-{config.seed}-{config.encoder}")
def test_a_decoder_paints_any_size_and_learns_with_all_its_weights(config):
    torch.manual_seed(0)
    network = Resynthesiser(config)
    for size in ((64, 64), (32, 96)):
        assert network(torch.zeros(2, 3, *size), torch.Generator()).shape == (2, 3, *size)
    network(torch.rand(4, 3, 64, 64) * 2 - 1, torch.Generator()).square().sum().backward()
    # Colour layers of smaller sizes that a grown network does not use, and attention that starts as the identity.
    where = {"progan": "decoder.", "stylegan": "decoder.generator."}.get(config.family, "-")
    idle = {f"{where}to_rgb.{level}." for level in range(config.levels - (config.fade < 1))} | {"decoder.attention."}
    for name, parameter in network.named_parameters():
        assert name.startswith(tuple(idle)) or (parameter.grad is not None and parameter.grad.abs().sum() > 0), name


def test_a_decoder_of_reduced_images_or_mosaics_sees_no_more_than_those():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mosaic = Resynthesiser(DrivenConfig("progan", start_px=64, width=4, encoder="mosaic")).encoder
    other = image.clone()
    other[:, 0, 1::2] = 0  # no red there in RGGB
    other[:, 1, ::2, ::2] = 0
    assert torch.equal(mosaic(image), mosaic(other)) and not torch.equal(mosaic(image), mosaic(image.flip(1)))
    reduced = Resynthesiser(DrivenConfig("progan", start_px=32, width=4, encoder="reduced")).encoder
    sign = (torch.arange(64) % 2 * 2 - 1) * (torch.arange(64) % 2 * 2 - 1)[:, None] * 0.1  # a chequerboard, gone at half the size
    assert (reduced(image + sign) - reduced(image)).abs().max() < 0.02 < (reduced(image + 0.1) - reduced(image)).abs().max()
    with pytest.raises(ProtocolError, match="learned, reduced, mosaic"):
        DrivenConfig("progan", encoder="none")


def test_a_seed_is_an_architecture_and_all_kinds_are_drawn():
    drawn = [draw_architecture(seed) for seed in range(60)]
    assert drawn == [draw_architecture(seed) for seed in range(60)]
    assert {kind for one in drawn for kind in one.upsamplers} == set(UPSAMPLERS) and {one.norm for one in drawn} == set(NORMS)
    assert {len(one.upsamplers) for one in drawn} == {1, 2, 3}


def test_blur_costs_energy_and_sharpness_says_so():
    image = torch.rand(2, 3, 64, 64)
    soft = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
    bands, blurred = high_bands(image), high_bands(soft)
    assert energy_loss(blurred, bands) > 10 * energy_loss(bands, bands) and gradient_loss(image, image) == 0
    assert sharpness(blurred[0], bands[0]) < 0.7 < 0.99 < sharpness(bands[0], bands[0])


def test_training_learns_the_photographs_and_paints_them_alike_twice(photos, painter):
    crops = Photographs(files_of(photos, "validation")).crops(4, 64, torch.Generator().manual_seed(0))
    images = (crops * 255).byte().permute(0, 2, 3, 1).numpy()
    names = ["a", "b", "c", "d"]
    painted = painter.paint(images, names)
    assert np.array_equal(painted, painter.paint(images, names)) and not np.array_equal(painted, painter.paint(images, names[::-1]))
    assert np.abs(painted.astype(float) - images).mean() < 0.7 * np.abs(images - images.mean(axis=(0, 1, 2))).mean()
    odd = painter.paint(images[:, :63, :61], names)
    assert odd.shape == (4, 63, 61, 3)


def test_pairs_hold_every_photograph_twice_under_one_name_and_splits_share_none(photos, painter, tmp_path):
    assert build_pairs(photos, painter, "progan_x", tmp_path, split="train", share=0.5) < 64
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    count = build_pairs(photos, painter, "progan_x", tmp_path, split="train")
    build_pairs(photos, painter, "progan_y", tmp_path, split="val")
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what is there is kept"
    names = {}
    for split, decoder in (("train", "progan_x"), ("val", "progan_y")):
        folder = tmp_path / split / decoder
        names[split] = sorted(path.name for path in (folder / "0_real").iterdir())
        assert names[split] == sorted(path.name for path in (folder / "1_fake").iterdir())
        record = json.loads((folder / "record.json").read_text())
        assert record["family"] == "progan" and record["mode"] == "resynthesised" and record["architecture"]["start_px"] == 64
    assert count == len(names["train"]) == 64 and {name.split("-")[1].rstrip("0123.png") for name in names["train"]} == {"half", "native"}
    assert not {name.split("-")[0] for name in names["train"]} & {name.split("-")[0] for name in names["val"]}


def test_disturbed_fakes_are_other_pictures_by_the_same_decoder_and_the_same_each_time(photos, painter, tmp_path):
    plain, disturbed, again = ({path.name: path.read_bytes() for path in (tmp_path / name / "train/progan_x/1_fake").iterdir()} for name in (
        made(photos, painter, tmp_path / "plain"), made(photos, painter, tmp_path / "disturbed", disturbed=True),
        made(photos, painter, tmp_path / "again", disturbed=True),
    ))  # fmt: skip
    assert disturbed == again and plain.keys() == disturbed.keys()
    assert all(plain[name] != disturbed[name] for name in plain)
    assert json.loads((tmp_path / "disturbed/train/progan_x/record.json").read_text())["disturbed"] is True
    maps = torch.randn(1, 12, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = [disturb(maps, torch.Generator().manual_seed(seed)) for seed in range(24)]
    assert all(one.shape == maps.shape and not torch.equal(one, maps) for one in changed)


def test_mixed_fakes_lie_between_the_fake_and_its_photograph(photos, painter, tmp_path):
    for name, weight in (("plain", 0.0), ("mixed", 0.6)):
        made(photos, painter, tmp_path / name, mixed=weight)
    folders = [tmp_path / name / "train/progan_x" for name in ("plain", "mixed")]
    for file in sorted((folders[0] / "1_fake").glob("*-half.png")):
        plain, mixed, real = (np.asarray(Image.open(path)).astype(float) for path in (
            file, folders[1] / "1_fake" / file.name, folders[1] / "0_real" / file.name
        ))  # fmt: skip
        assert np.abs(mixed - (0.4 * plain + 0.6 * real)).max() <= 1
    with pytest.raises(ProtocolError, match="less than 1"):
        made(photos, painter, tmp_path / "none", mixed=1.0)


def made(photos, painter, out, **more):
    build_pairs(photos, painter, "progan_x", out, split="train", share=0.3, **more)
    return out.name


@pytest.mark.parametrize("limit", [None, 64, 40])
def test_neither_files_nor_compression_tell_real_from_fake(photos, painter, tmp_path, limit):
    build_pairs(photos, painter, "progan_x", tmp_path, split="train")
    chosen = spread(scan(tmp_path / "train"), limit)
    facts = [examine(one) for one in chosen]
    history = np.array([[kind_of(one) == "native"] for one in chosen], dtype=float)
    table = np.hstack([metadata_table(facts), history])
    labels, clusters = np.array([one.label for one in chosen]), [one.path.name.split("-")[0] for one in chosen]
    assert cross_validated_ap(table, labels, clusters, trees, draws=0).value <= 0.52
    assert len(chosen) == (limit or 128) and labels.mean() == 0.5
    # The same classifier finds a set whose reals alone have a history.
    told = np.hstack([metadata_table(facts), history * (1 - labels[:, None])])
    assert cross_validated_ap(told, labels, clusters, trees, draws=0).value > 0.6


def test_what_is_no_decoder_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match="no decoder to drive"):
        Resynthesiser(DrivenConfig("sitd"))
    with pytest.raises(ProtocolError, match="cannot start at 24 px"):
        DrivenConfig("progan", start_px=24)
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot paint photographs"):
        load_painter(tmp_path / "x.pt")


def test_near_duplicates_lie_in_one_split(tmp_path):
    pairs = ((362, 380), (40, 135), (141, 577), (61, 219), (69, 591), (51, 549), (441, 657), (83, 171), (121, 290))
    for first, second in pairs:
        assert split_of(tmp_path / "monkey" / f"{first:05d}.jpg") == split_of(tmp_path / "monkey" / f"{second:05d}.jpg")
    assert split_of(tmp_path / "cat" / "00040.jpg") == "validation"


def test_a_suite_of_decoders_pairs_every_fake_with_its_photograph(photos, painter, tmp_path):
    weights = tmp_path / "weights"
    for seed, name in ((1, "one"), (2, "two")):
        config = DrivenConfig("progan", start_px=64, width=4, seed=seed, steps=1, batch=2, crop_px=32, features=0.0)
        train(Photographs(files_of(photos, "train")), config, Job(weights / name))
    for place, folder in enumerate(("suite", "decoders")):
        (tmp_path / "free" / folder).mkdir(parents=True)
        for number in range(3 * place, 3 * place + 3):
            for crop in range(2):
                pixels = np.random.default_rng((number, crop)).integers(0, 256, (128, 128, 3), dtype=np.uint8)
                (tmp_path / "free" / folder / f"photo{number}__{crop}.png").write_bytes(encode_png(Image.fromarray(pixels)))
    files = [weights / name / "resynthesiser.pt" for name in ("one", "two")]
    assert build_suite(tmp_path / "free", [], tmp_path / "out", resynthesisers=files, count=5) == {"progan": 5}
    samples = scan(tmp_path / "out" / "progan")
    named = [sorted(one.path.name for one in samples if one.label == label) for label in (0, 1)]
    # Five photographs, none twice, real and fake in one cluster; the photographs that only decoders may paint are among them.
    assert named[0] == named[1] and len({one.cluster for one in samples}) == 5 and {name[5] for name in named[0]} & set("345")
    record = json.loads((tmp_path / "out" / "progan" / "record.json").read_text())
    assert record["mode"] == "resynthesised" and [one["seed"] for one in record["decoders"]] == [1, 2]
    for place, name in enumerate(named[1][:2]):
        real = np.array(Image.open(tmp_path / "out" / "reals" / name))[None]
        fake = np.asarray(Image.open(tmp_path / "out" / "progan" / "1_fake" / name))
        painted = [load_painter(file).paint(real, [f"{SUITE_SEED}/{name[:-4]}"])[0] for file in files]
        assert np.array_equal(fake, painted[place]) and not np.array_equal(fake, painted[1 - place])
