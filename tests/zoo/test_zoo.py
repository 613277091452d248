"""Generators: shapes, gradients, fades, resuming, and that a seed fixes an image."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnndetect.data.folders import scan
from cnndetect.errors import DataError, UnknownNameError, WeightsError
from cnndetect.images import list_images, packs, to_rgb_array
from cnndetect.paths import mini_root, weights_root
from cnndetect.zoo import build
from cnndetect.zoo import registry as families
from cnndetect.zoo.families import crn, progan, san, sitd
from cnndetect.zoo.loop import Job, generator_for, run
from cnndetect.zoo.makers import Made, Maker, Painted
from cnndetect.zoo.parts.labels import fit_centres, label_maps, one_hot
from cnndetect.zoo.parts.layers import minibatch_stddev, pixel_norm, upsample_nearest
from cnndetect.zoo.parts.progressive import Position, position_at, total_steps
from cnndetect.zoo.photographs.free_photos import encode_png
from cnndetect.zoo.resynthesis.painter import load_painter

TINY_PROGAN = progan.ProGANConfig(channels=(8, 8, 8, 8, 8, 4), latent=8, phases=((8, 0, 8, 4), (16, 8, 8, 4)), penalty_interval=2)
TINY_SITD = sitd.SITDConfig(width=4, steps=4, batch=2)
TINY_SAN = san.SANConfig(width=8, groups=1, blocks=1, steps=4, batch=2)
TINY_CRN = crn.CRNConfig(channels=(8, 8, 8, 8, 8, 8), steps=4, batch=2)


def photos(count: int = 6) -> torch.Tensor:
    """Smooth random colour fields: uint8 [count, 3, 128, 128]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, 128, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


@pytest.mark.parametrize("level", [1, 3, 5])
def test_progan_shapes(level: int) -> None:
    generator, critic = progan.Generator(TINY_PROGAN), progan.Discriminator(TINY_PROGAN.channels)
    image = generator(torch.randn(4, 8), level=level, alpha=0.5)
    assert image.shape == (4, 3, 4 * 2**level, 4 * 2**level)
    assert critic(image, level=level, alpha=0.5).shape == (4,)


def test_progan_fade_starts_at_the_level_below_and_ends_at_the_new_one() -> None:
    torch.manual_seed(0)
    generator, z = progan.Generator(TINY_PROGAN), torch.randn(2, 8)
    below, above = upsample_nearest(generator(z, level=2)), generator(z, level=3)
    assert torch.allclose(generator(z, level=3, alpha=0.0), below, atol=1e-6)
    assert torch.allclose(generator(z, level=3, alpha=0.25), torch.lerp(below, above, 0.25), atol=1e-5)


def test_progan_schedule_is_continuous() -> None:
    positions = [position_at(step, progan.CPU.phases) for step in range(total_steps(progan.CPU.phases))]
    assert positions[0].resolution_px == 8 and positions[-1] == Position(128, 1.0, progan.CPU.phases[-1][3])
    for before, after in zip(positions, positions[1:], strict=False):
        if after.resolution_px == before.resolution_px:
            assert 0 <= after.alpha - before.alpha < 0.02
        else:
            assert after.resolution_px == 2 * before.resolution_px and before.alpha == 1.0 and after.alpha < 0.02


def test_progan_gradients_reach_every_parameter_of_the_grown_network() -> None:
    torch.manual_seed(0)
    generator, critic = progan.Generator(TINY_PROGAN), progan.Discriminator(TINY_PROGAN.channels)
    critic(generator(torch.randn(4, 8), level=5, alpha=0.5), level=5, alpha=0.5).sum().backward()
    unused = {f"to_rgb.{k}" for k in range(4)} | {f"from_rgb.{k}" for k in range(4)}
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        if not name.startswith(tuple(unused)):
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_pixel_norm_and_minibatch_stddev() -> None:
    x = torch.randn(4, 6, 3, 3)
    assert torch.allclose(pixel_norm(x).square().mean(dim=1), torch.ones(4, 3, 3), atol=1e-4)
    same = x[:1].repeat(4, 1, 1, 1)
    assert minibatch_stddev(same)[:, -1].max() < 1e-3 < minibatch_stddev(x)[:, -1].min()


@pytest.mark.parametrize(("module", "config"), [(sitd, TINY_SITD), (san, TINY_SAN), (crn, TINY_CRN)])
def test_translations_keep_the_size_and_every_parameter_learns(module, config) -> None:
    torch.manual_seed(0)
    network = module.Network(config)
    photo = photos(2).float() / 255
    image = module.translate(network, photo, config, generator_for(0, 0))
    assert image.shape == photo.shape and 0 <= image.min() and image.max() <= 1

    source = {
        sitd: lambda: sitd.expose(photo, config, generator_for(0, 0)),
        san: lambda: san.reduce_four(photo),
        crn: lambda: one_hot(label_maps(photos(2), network.centres)),
    }[module]()
    network(source).square().sum().backward()
    dead = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not dead


def test_the_dark_exposure_is_noisy_but_unbiased() -> None:
    photo = torch.full((1, 3, 128, 128), 0.5)
    raw = sitd.expose(photo, sitd.CPU, generator_for(0, 0))
    assert raw.shape == (1, 4, 64, 64)
    assert abs(raw.mean().item() - 0.5**2.2) < 0.01 and raw.std() > 0.01


def test_san_overfits_eight_images() -> None:
    torch.manual_seed(0)
    config = san.SANConfig(width=16, groups=1, blocks=1)
    network, photo = san.Network(config), photos(8)[:, :, :48, :48].float() / 255
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = (network(san.reduce_four(photo)) - photo).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_labels_follow_colour() -> None:
    two = torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    two[:, :, :, 64:] = 220
    maps = label_maps(two, fit_centres(two, classes=4))
    assert not set(maps[0, :, :50].unique().tolist()) & set(maps[0, :, 78:].unique().tolist())


@pytest.mark.parametrize("name", ["progan", "sitd"])
def test_an_interrupted_training_ends_with_the_same_weights(name: str, tmp_path) -> None:
    module, config = {"progan": (progan, TINY_PROGAN), "sitd": (sitd, TINY_SITD)}[name]
    whole = torch.load(module.train(photos(), config, Job(tmp_path / "whole")), weights_only=True)

    # Stop by raising inside the step after two checkpoints, then run the same command again.
    import cnndetect.zoo.loop as loop

    original, calls = loop.generator_for, []

    def interrupted(seed: int, index: int, **options):
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(seed, index, **options)

    loop.generator_for = interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            module.train(photos(), config, Job(tmp_path / "cut", checkpoint_seconds=0))
    finally:
        loop.generator_for = original
    resumed = torch.load(module.train(photos(), config, Job(tmp_path / "cut")), weights_only=True)
    assert resumed["step"] == whole["step"]
    part = "average" if name == "progan" else "network"
    for key, value in whole["state"][part].items():
        assert torch.equal(value, resumed["state"][part][key]), key


def test_another_configuration_is_not_resumed(tmp_path) -> None:
    sitd.train(photos(), TINY_SITD, Job(tmp_path))
    with pytest.raises(DataError, match="lr differ"):
        sitd.train(photos(), dataclasses.replace(TINY_SITD, lr=5.0), Job(tmp_path))


def test_loop_logs_every_step_once(tmp_path) -> None:
    layer = torch.nn.Linear(1, 1)
    run(Job(tmp_path, log_steps=2), 5, lambda index, rng: {"loss": index}, {"layer": layer}, config=TINY_SITD)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5] and lines[0]["loss"] == 0.5


def test_what_a_killed_run_logged_after_its_checkpoint_is_logged_once(tmp_path) -> None:
    layer = torch.nn.Linear(1, 1)

    def dies(index, rng):
        if index == 5:
            raise KeyboardInterrupt
        return {"loss": index}

    job = Job(tmp_path, log_steps=2, checkpoint_seconds=0)
    run(job, 3, lambda index, rng: {"loss": index}, {"layer": layer}, config=TINY_SITD)  # a checkpoint of step 3
    with pytest.raises(KeyboardInterrupt):
        run(Job(tmp_path, log_steps=2), 8, dies, {"layer": layer}, config=TINY_SITD)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # torn
    run(job, 8, lambda index, rng: {"loss": index}, {"layer": layer}, config=TINY_SITD)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4, 6, 8] and lines[-1]["loss"] == 6.5


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, families.Generator]:
    root = tmp_path_factory.mktemp("zoo")
    made = {}
    for name, module, config in (("progan", progan, TINY_PROGAN), ("sitd", sitd, TINY_SITD)):
        checkpoint = module.train(photos(), config, Job(root / name))
        made[name] = families.load_generator(families.export(name, checkpoint, root / f"{name}.pt"))
    return made


def test_a_seed_and_an_index_fix_the_image(trained) -> None:
    generator = trained["progan"]
    three = list(generator.fakes(3, seed=7))
    assert np.array_equal(three[2], generator.fake(2, seed=7))
    assert not np.array_equal(three[2], generator.fake(2, seed=8))
    assert three[0].shape == (128, 128, 3) and three[0].dtype == np.uint8


def test_a_test_set_pairs_fakes_with_their_photographs(trained, tmp_path) -> None:
    reals = tmp_path / "suite" / "reals"
    reals.mkdir(parents=True)
    for index, photo in enumerate(photos(3)):
        (reals / f"lake__{index}.png").write_bytes(encode_png(Image.fromarray(photo.permute(1, 2, 0).numpy())))
    for name, generator in trained.items():
        build.build_test_set(Made(generator), list_images(reals), tmp_path / "suite" / name)
    samples = scan(tmp_path / "suite" / "sitd")
    assert sum(s.label == 1 for s in samples) == 3 == sum(s.label == 0 for s in samples)
    assert len({s.cluster for s in samples}) == 1  # one photograph, real or fake
    assert len({s.cluster for s in scan(tmp_path / "suite" / "progan") if s.label == 1}) == 3


def test_mistakes_are_explained(trained, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'progan'"):
        families.train_family("progam", np.zeros((1, 128, 128, 3), np.uint8), tmp_path)
    with pytest.raises(DataError, match="Expected uint8"):
        families.train_family("sitd", np.zeros((1, 64, 64, 3), np.uint8), tmp_path)
    with pytest.raises(DataError, match="Give photo="):
        trained["sitd"].fake(0, seed=0)
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="is not a generator"):
        families.load_generator(tmp_path / "junk.pt")


@pytest.mark.weights
@pytest.mark.parametrize("name", [name for name in families.ELEVEN if list((weights_root() / "zoo").glob(f"{name}*.pt"))])
def test_the_embedded_fakes_come_from_the_shipped_weights(name: str) -> None:
    files = sorted((weights_root() / "zoo").glob(f"{name}*.pt"))
    record = mini_root() / name / "record.json"
    resynthesised = packs.exists(record) and json.loads(packs.read(record))["mode"] == "resynthesised"
    painters = {painter.config.seed: painter for painter in map(load_painter, files)} if resynthesised else {}
    turns = [one["seed"] for one in json.loads(packs.read(record))["decoders"]] if resynthesised else []  # in the order of the build
    assert sorted(turns) == sorted(painters)
    maker: Maker = Painted(tuple(painters[seed] for seed in turns)) if resynthesised else Made(families.load_generator(files[0]))
    fakes, reals = list_images(mini_root() / name / "1_fake"), {path.name: path for path in list_images(mini_root() / "reals")}
    assert len(fakes) >= 100
    with tempfile.TemporaryDirectory() as folder:
        for index in (0, 50):
            real = (Path(folder) / fakes[index].name).with_suffix(".png")
            if maker.needs_photo:
                real.write_bytes(encode_png(Image.fromarray(to_rgb_array(reals[fakes[index].name]))))
            fake = maker.make(index, build.SUITE_SEED, real if maker.needs_photo else None)
            # Another processor may round another way.
            assert np.abs(fake.astype(int) - to_rgb_array(fakes[index])).mean() <= 1
