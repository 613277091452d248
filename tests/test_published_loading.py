"""Weights files of others: hostile, damaged and strange ones are refused with words, good ones load by name or by NAME=FILE."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from published_cases import fill, images

from cnndetect.cli.main import main
from cnndetect.detectors.published import fetching, loading
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.record import Published, WeightFile
from cnndetect.detectors.registry import load, name_of
from cnndetect.errors import ProtocolError, UnknownNameError, WeightsError


def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, file: WeightFile | None = None) -> Published:
    """A published detector of 1,297 weights whose file any bytes may be, in the catalogue for one test."""
    known = PUBLISHED["tiny-ladeda-wildrf"]
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    record = Published(**{**fields, "name": "tiny-test", "files": (file or WeightFile("tiny.pth", "a test"),)})
    monkeypatch.setitem(PUBLISHED, "tiny-test", record)
    monkeypatch.setenv("CNNDETECT_OFFICIAL", str(tmp_path / "official"))
    return record


def _state(record: Published) -> dict[str, torch.Tensor]:
    return fill(record.build().state_dict())


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "netC"])
def test_a_copy_loads_by_name_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapper: str | None) -> None:
    record = _tiny(tmp_path, monkeypatch)
    state = {f"module.{key}": value for key, value in _state(record).items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "mine.pth")
    spec = f"tiny-test={tmp_path / 'mine.pth'}"
    detector = load(spec, device="cpu")
    assert (detector.name, name_of(spec), detector.progan_only) == ("tiny-test", "tiny-test", False)
    assert detector.weights_sha256 and detector.record["licence"] == record.licence
    assert detector.logits(torch.zeros(2, 3, 40, 50)).shape == (2,)


def test_weights_on_the_command_line_are_those_of_one_published_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = _tiny(tmp_path, monkeypatch)
    torch.save(_state(record), tmp_path / "mine.pth")
    Image.fromarray(images(("small",))["small"]).save(tmp_path / "a.png")
    words = ["score", str(tmp_path / "a.png"), "--logit"]
    assert main([*words, "--detector", "tiny-test", "--weights", str(tmp_path / "mine.pth")]) == 0
    given = capsys.readouterr().out
    assert main([*words, "--detector", f"tiny-test={tmp_path / 'mine.pth'}"]) == 0
    assert given and given == capsys.readouterr().out
    for other in ([], ["--detector", str(tmp_path / "mine.pth")]):
        assert main([*words, *other, "--weights", str(tmp_path / "mine.pth")]) == 2
        assert "one published detector" in capsys.readouterr().err


def test_a_key_that_is_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two loaders of the field build attribute assignments from key names and exec them.
    record = _tiny(tmp_path, monkeypatch)
    evidence = tmp_path / "evidence"
    hostile = f"fc.weight = 1; open({str(evidence)!r}, 'w').close() #"
    torch.save({**_state(record), hostile: torch.zeros(1)}, tmp_path / "hostile.pth")
    with pytest.raises(WeightsError, match="no parameter's name.*do not use this file"):
        load(f"tiny-test={tmp_path / 'hostile.pth'}", device="cpu")
    assert not evidence.exists()


class _Runs:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        import os

        return os.mkdir, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _tiny(tmp_path, monkeypatch)
    torch.save({**_state(record), "args": _Runs(str(tmp_path / "evidence"))}, tmp_path / "hostile.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load(f"tiny-test={tmp_path / 'hostile.pth'}", device="cpu")
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize("change", ["extra", "missing", "shape"])
def test_what_does_not_fit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    record = _tiny(tmp_path, monkeypatch)
    state = _state(record)
    if change == "extra":
        state["head.weight"] = torch.zeros(1)
    elif change == "missing":
        del state["fc.bias"]
    else:
        state["fc.bias"] = torch.zeros(2)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="head.weight|fc.bias"):
        load(f"tiny-test={tmp_path / 'a.pth'}", device="cpu")


def test_another_file_is_told_by_size_and_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _tiny(tmp_path, monkeypatch)
    torch.save(_state(record), tmp_path / "a.pth")
    blob = loading.git_blob(tmp_path / "a.pth")
    size = (tmp_path / "a.pth").stat().st_size
    loading.check_file(tmp_path / "a.pth", WeightFile("a.pth", "", size=size, blob=blob))
    for wrong in (
        WeightFile("a.pth", "", size=size + 1),
        WeightFile("a.pth", "", blob=blob[::-1]),
        WeightFile("a.pth", "", sha256="0" * 64),
    ):
        with pytest.raises(WeightsError, match="Expected"):
            loading.check_file(tmp_path / "a.pth", wrong)
    (tmp_path / "p.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(WeightsError, match="git lfs pull"):
        loading.check_file(tmp_path / "p.pth", WeightFile("p.pth", ""))


def test_git_names_the_empty_file_as_we_do(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert loading.git_blob(tmp_path / "empty") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_fetching_asks_for_the_licence_and_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place.pth"
    record = _tiny(tmp_path, monkeypatch)
    torch.save(_state(record), place)
    file = WeightFile("tiny.pth", "here", (place.as_uri(),), blob=loading.git_blob(place))
    record = _tiny(tmp_path, monkeypatch, file=file)
    with pytest.raises(ProtocolError, match="--yes"):
        fetching.fetch_published(record, accept_licence=False)
    with pytest.raises(WeightsError, match="cnndetect detectors get tiny-test"):
        load("tiny-test", device="cpu")
    fetching.fetch_published(record, accept_licence=True)
    assert fetching.is_here(record) and load("tiny-test", device="cpu").name == "tiny-test"
    other = _tiny(tmp_path / "b", monkeypatch, file=WeightFile("tiny.pth", "here", (place.as_uri(),), blob="0" * 40))
    with pytest.raises(WeightsError, match="damaged or another file"):
        fetching.fetch_published(other, accept_licence=True)
    assert not fetching.is_here(other)


def test_a_place_for_browsers_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _tiny(tmp_path, monkeypatch)
    with pytest.raises(ProtocolError, match="browser.*--detector tiny-test=FILE"):
        fetching.fetch_published(record, accept_licence=True)
    torch.save(_state(record), tmp_path / "mine.pth")
    fetching.fetch_published(record, accept_licence=True, source=tmp_path / "mine.pth")
    assert load("tiny-test", device="cpu").name == "tiny-test"


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="tiny-ladeda-wildrf"):
        load("tiny-ladeda-wildfr", device="cpu")


def test_keras_arrays_find_their_layers_whatever_their_numbers(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    record = PUBLISHED["mesoinception4-deepfakes"]
    wanted = fill(record.build().state_dict())
    convolutions = ["stages.0.convolution.first"]
    convolutions += [f"stages.0.convolution.{kind}.{branch}" for branch in range(3) for kind in ("reduce", "wide")]
    convolutions += [name.replace("stages.0", "stages.1") for name in convolutions]
    convolutions += ["stages.2.convolution", "stages.3.convolution"]
    names = {"conv2d": convolutions, "batch_normalization": [f"stages.{index}.norm" for index in range(4)], "dense": ["hidden", "fc"]}
    parts = {"weight": "kernel:0", "bias": "bias:0"}
    norms = {"weight": "gamma:0", "bias": "beta:0", "running_mean": "moving_mean:0", "running_var": "moving_variance:0"}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for kind, layers in names.items():
            for number, ours in enumerate(layers, start=7):  # so that 10 comes after 9
                for part, theirs in (norms if kind == "batch_normalization" else parts).items():
                    value = wanted[f"{ours}.{part}"].numpy()
                    turned = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T if value.ndim == 2 else value
                    file[f"{kind}_{number}/{kind}_{number}/{theirs}"] = turned
    network = record.build()
    loading.fill(network, record, loading.read_state(tmp_path / "a.h5"), source="a.h5")
    for name, value in network.state_dict().items():
        assert torch.equal(value, wanted[name]), name
    with pytest.raises(WeightsError, match="16 layers called conv2d"):
        loading.fill(PUBLISHED["meso4-deepfakes"].build(), PUBLISHED["meso4-deepfakes"], loading.read_state(tmp_path / "a.h5"), source="a")
