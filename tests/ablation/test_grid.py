"""The ablation grid: its cells, nested classes, and a folder of runs that survives skips, interruptions and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnndetect.ablation.cells import AUGMENTATIONS, OWN, Condition, cell_name, default_counts, make_cells, nested_classes, parse_name
from cnndetect.bench.run import Benchmark
from cnndetect.cli.main import main
from cnndetect.data.folders import spread
from cnndetect.detectors.registry import load
from cnndetect.errors import DataError, ProtocolError, UnknownNameError
from cnndetect.metrics.intervals import Interval, SetScores, jackknife
from cnndetect.train.config import TrainConfig
from cnndetect.train.data import scan_split
from cnndetect.train.loop import train
from tests.drawn_training_set import draw_training_set

CLASSES = ("bird", "cat", "dog")
NAMES = [f"class{index}" for index in range(20)]
SMALL = "--arch tiny --init random --crop-px 24 --batch-size 8 --threads 1 --device cpu --lr 0.01".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_training_set(tmp_path_factory.mktemp("data"), per_folder=6, classes=CLASSES)


def trained(config: TrainConfig) -> int:
    train(config)
    return 0


def grid(data: Path, out: Path, *more: str, run: Callable[[TrainConfig], int] = trained) -> int:
    given = ["ablation", "run", "--data", str(data), "--out", str(out), "--trunk", "npr", "--mini", "--seeds", "0", *SMALL]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cnndetect.ablation.run.in_process", run)
        return main([*given, "--max-epochs", "1", *more])


def states(capsys: pytest.CaptureFixture, data: Path, out: Path, *more: str) -> dict[str, str]:
    capsys.readouterr()
    assert grid(data, out, "--dry-run", "--json", *more) == 0
    return {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}


def test_classes_are_nested_and_fixed() -> None:
    found = nested_classes(NAMES, ["2", "4", "8", "16", "20"])
    assert [len(found[count]) for count in ("2", "4", "8", "16")] == [2, 4, 8, 16]
    assert set(found["2"]) < set(found["4"]) < set(found["8"]) < set(found["16"]) < set(NAMES)
    assert found["all"] == () and "20" not in found
    assert nested_classes(NAMES[::-1], ["8"])["8"] == found["8"], "the order of the folders does not matter"
    assert found["8"] != tuple(sorted(NAMES)[:8]), "the classes are shuffled"
    assert default_counts(NAMES) == ["2", "4", "8", "16", "all"]


def test_a_count_or_class_that_is_not_there_is_named() -> None:
    with pytest.raises(ProtocolError, match="'21' classes"):
        nested_classes(NAMES, ["21"])
    with pytest.raises(UnknownNameError, match="clas3"):
        nested_classes(NAMES, ["1"], order=["clas3"])
    with pytest.raises(ProtocolError, match="twice"):
        nested_classes(NAMES, ["1"], order=["class3", "class3"])


@pytest.mark.parametrize("trunk", ["wang2020", "resnet18", "npr"])
def test_every_cell_has_its_augmentation_classes_and_seed(trunk: str) -> None:
    cells = make_cells(
        trunk,
        data=Path("d"),
        out=Path("o"),
        augmentations=AUGMENTATIONS,
        seeds=[0, 1],
        classes=nested_classes(NAMES, ["2", "all"]),
        diversity_augmentation="blur-jpeg-0.1",
        mini=True,
        flags={"max_images": 100, "max_epochs": 3},
    )
    assert len(cells) == len({cell.name for cell in cells}) == 2 * (5 + 1), "blur-jpeg-0.1 on all classes is in both ablations, once"
    wanted = {"none": (0, 0), "blur": (0.5, 0), "jpeg": (0, 0.5), "blur-jpeg-0.5": (0.5, 0.5), "blur-jpeg-0.1": (0.1, 0.1)}
    for cell in cells:
        config = cell.config
        assert (config.augment.blur_probability, config.augment.jpeg_probability) == wanted[cell.condition.augmentation]
        assert parse_name(cell.name) == (cell.condition, cell.seed) and config.seed == cell.seed and config.name == cell.name
        assert len(config.classes) == (0 if cell.condition.classes == "all" else 2)
        assert (config.max_images, config.max_epochs, config.augment.resize_px) == (100, 3, None)
    assert {cell.config.arch for cell in cells} == {{"wang2020": "resnet50", "resnet18": "resnet18-ce", "npr": "npr"}[trunk]}


@pytest.mark.parametrize("flag", OWN)
def test_what_the_grid_sets_cannot_be_given(flag: str) -> None:
    with pytest.raises(ProtocolError, match=flag.replace("_", "-")):
        make_cells(
            "npr",
            data=Path("d"),
            out=Path("o"),
            augmentations=["none"],
            seeds=[0],
            classes={"all": ()},
            diversity_augmentation="none",
            flags={"max_epochs": 1, flag: 0},
        )


def test_all_alone_leaves_the_second_ablation_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert len(states(capsys, data, tmp_path, "--classes", "all")) == 5
    found = states(capsys, data, tmp_path, "--classes", "1,2,3")
    assert sorted({name.split("-c")[1] for name in found}) == ["1-s0", "2-s0", "all-s0"], "3 of 3 classes are all"
    assert set(found.values()) == {"missing"} and not list(tmp_path.iterdir()), "a plan writes nothing"


def test_cells_are_trained_skipped_and_resumed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ("--augmentations", "none", "--classes", "2,all", "--diversity-augmentation", "none", "--limit", "16")
    assert grid(data, tmp_path, *asked) == 0
    assert states(capsys, data, tmp_path, *asked) == {"npr-none-call-s0": "finished", "npr-none-c2-s0": "finished"}
    for name in ("npr-none-call-s0", "npr-none-c2-s0"):
        record = json.loads((tmp_path / name / "record.json").read_text())
        train = record["data"]["train"]
        assert train["real"] + train["fake"] == 16, "as many images for every class count"
        assert len(train["classes"]) == (2 if name.endswith("c2-s0") else 3)
        about = json.loads((tmp_path / name / "cell.json").read_text())
        assert str(tmp_path) not in about["command"] and "--seed 0" in about["command"]
        assert load(tmp_path / name / "best.safetensors", device="cpu").name == name

    def never(config: TrainConfig) -> int:
        raise AssertionError(config)

    assert grid(data, tmp_path, *asked, run=never) == 0, "finished cells are skipped"
    # More epochs: the same cells go on where they stopped.
    assert grid(data, tmp_path, *asked, "--max-epochs", "2") == 0
    log = (tmp_path / "npr-none-c2-s0" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [0, 1]
    # Another recipe is another run, and the cell is not overwritten.
    assert grid(data, tmp_path, *asked, "--limit", "12", run=never) == 1
    assert "max_images" in capsys.readouterr().err


def test_an_interrupted_cell_goes_on(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ("--augmentations", "none", "--classes", "all")

    def interrupted(config: TrainConfig) -> int:
        train(replace(config, max_seconds=0.000001))
        raise KeyboardInterrupt

    assert grid(data, tmp_path, *asked, run=interrupted) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert states(capsys, data, tmp_path, *asked) == {cell_name(Condition("npr", "none", "all"), 0): "interrupted"}
    assert grid(data, tmp_path, *asked) == 0
    assert set(states(capsys, data, tmp_path, *asked).values()) == {"finished"}


def test_a_failing_cell_is_named_and_the_others_go_on(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def fails_on_blur(config: TrainConfig) -> int:
        return 3 if config.name == "npr-blur-call-s0" else trained(config)

    asked = ("--augmentations", "none,blur,jpeg", "--classes", "all")
    assert grid(data, tmp_path, *asked, "--diversity-augmentation", "none", run=fails_on_blur) == 1
    error = capsys.readouterr().err
    assert "FAILED npr-blur-call-s0" in error and "status 3" in error and "FAILED npr-jpeg" not in error
    found = states(capsys, data, tmp_path, *asked, "--diversity-augmentation", "none")
    assert found == {"npr-none-call-s0": "finished", "npr-blur-call-s0": "missing", "npr-jpeg-call-s0": "finished"}


def test_cells_run_as_processes_and_only_picks(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = ["ablation", "--data", str(data), "--out", str(tmp_path), "--trunk", "npr", "--mini", "--seeds", "0", "--max-epochs", "1"]
    assert main([*given, "--cells", "*-jpeg-call-*", *SMALL]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["npr-jpeg-call-s0"]
    assert main([*given, "--cells", "*-s7", *SMALL]) == 2
    assert "*-s7" in capsys.readouterr().err


def test_score_benches_finished_cells_only(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for name, reason in (("npr-none-call-s0", "max_epochs"), ("npr-blur-call-s0", None), ("npr-jpeg-call-s0", "max_epochs"), ("mine", "x")):
        (runs / name).mkdir(parents=True)
        (runs / name / "record.json").write_text(json.dumps({"stop_reason": reason, "weights_sha256": "0", "threshold_logit": 0.0}))
    benched: list[str] = []

    def bench(detector: object, suite: object, options: object, *, results: Path, progress: bool) -> Benchmark:
        benched.append(str(detector))
        if "npr-jpeg" in str(detector):
            raise DataError("no scores")
        return Benchmark(str(detector), "mini@1", (), Interval(0, 0, 0), Interval(0, 0, 0), jackknife([SetScores(*np.array([[0, 1]] * 3))]))

    asked = ["ablation", "score", "--runs", str(runs), "--suite", "mini", "--results", str(tmp_path / "results")]
    monkeypatch.setattr("cnndetect.ablation.run.run_suite", bench)
    monkeypatch.setattr("cnndetect.ablation.run.load", lambda path, device: path.parent.name)
    assert main(asked) == 1
    assert benched == ["npr-jpeg-call-s0", "npr-none-call-s0"]
    captured = capsys.readouterr()
    assert "1 of 2 cells" in captured.out and "FAILED npr-jpeg-call-s0: no scores" in captured.err
    assert main([*asked, "--cells", "npr-none-*"]) == 0


def test_images_are_spread_over_classes(data: Path) -> None:
    samples = scan_split(data, "train", ())
    chosen = spread(samples, 18)
    counts = {(s.relative.split("/")[0], s.label): 0 for s in samples}
    for sample in chosen:
        counts[sample.relative.split("/")[0], sample.label] += 1
    assert set(counts.values()) == {3} and list(chosen) == [s for s in samples if s in set(chosen)]
    assert spread(samples, None) == spread(samples, 10**6) == samples
    few = tuple(s for s in samples if not s.relative.startswith("cat/0_real")) + samples[6:8]
    assert len(spread(few, 20)) == 20, "small classes give all they have, the others fill up"
