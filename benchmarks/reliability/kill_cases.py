"""The commands that kill.py ends: what each is given, what of it is safe on disk, and what must be equal at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

BATCH, CHECKPOINT_STEPS = 8, 5


@dataclass(frozen=True)
class Case:
    """One command that is killed."""

    name: str
    command: list[str] | Callable[[Path], object]
    """Words of cnndetect, with OUT for the folder; or a function of the folder."""
    progress: Callable[[Path], int]
    """Units that are safe on disk."""
    same: Callable[[Path, Path], list[str]]
    """What differs between the folders of the unbroken and of the broken run, [] for nothing."""
    unit: str
    """What is counted, and how many of it a kill may cost."""


def draw(folder: Path, count: int, *, side: int, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{index:04d}.png")


def leftovers(out: Path) -> list[str]:
    return [f"{path.name} was left" for path in out.rglob("*") if path.suffix in (".tmp", ".journal")]


def bench_case(work: Path) -> Case:
    rng = np.random.default_rng(1)
    for name in ("crn", "biggan"):
        for label in ("0_real", "1_fake"):
            draw(work / "suite" / name / label, 300, side=32, rng=rng)
    words = ["bench", "--suite", str(work / "suite"), "--detector", "small_detector:small", "--results", "OUT", "--batch-size", str(BATCH)]
    words += ["--backend", "torch", "--draws", "300", "--device", "cpu"]  # an engine would not note what it scores

    def scores(out: Path) -> dict[str, list]:
        from cnndetect.bench.store import read_runs

        found = {}
        for rows in read_runs([out]).values():
            for row in rows.values():
                for name, one in row.items():
                    found[name] = [one.scores.paths.tolist(), one.scores.logits.tolist(), one.scores.errors.tolist()]
        return found

    def progress(out: Path) -> int:
        """Images whose scores are safe, in results and journals; a journal's last line may be torn."""
        safe = sum(len(one[0]) for one in scores(out).values()) if out.exists() and any(out.rglob("*.json")) else 0
        for journal in out.rglob("*.journal"):
            if journal.with_suffix(".json").exists():
                continue
            for line in journal.read_bytes().split(b"\n")[1:-1]:
                safe += len(json.loads(line))
        return safe

    def same(whole: Path, out: Path) -> list[str]:
        return leftovers(out) + ([] if scores(whole) == scores(out) else ["scores differ from those of the unbroken run"])

    return Case("bench", words, progress, same, f"images in batches of {BATCH}")


def train_case(work: Path) -> Case:
    rng = np.random.default_rng(2)
    for split, count in (("train", 24), ("val", 4)):
        for label in ("0_real", "1_fake"):
            draw(work / "data" / split / "cat" / label, count, side=32, rng=rng)
    words = ["train", "--data", str(work / "data"), "--name", "run", "--out", "OUT", "--arch", "tiny", "--init", "random", "--lr", "0.01"]
    words += ["--recipe", "mini-blur-jpeg-0.5", "--crop-px", "24", "--batch-size", "2", "--max-epochs", "6", "--device", "cpu"]
    words += ["--threads", "1", "--checkpoint-steps", str(CHECKPOINT_STEPS)]

    def progress(out: Path) -> int:
        from cnndetect.train.checkpoint import load_checkpoint

        last = out / "run" / "last.ckpt"
        if not last.exists():
            return 0
        state = load_checkpoint(last)
        return int(state["epoch"]) * 24 + int(state["step"])

    def same(whole: Path, out: Path) -> list[str]:
        import torch
        from safetensors.torch import load_file

        wrong = leftovers(out)
        first, second = (load_file(one / "run" / "best.safetensors") for one in (whole, out))
        if any(not torch.equal(value, second[key]) for key, value in first.items()):
            wrong.append("best weights differ")
        logs = [[json.loads(line) for line in (one / "run" / "log.jsonl").read_text().splitlines()] for one in (whole, out)]
        timeless = [[{k: v for k, v in line.items() if "second" not in k} for line in log] for log in logs]
        return wrong + ([] if timeless[0] == timeless[1] else ["log.jsonl differs"])

    return Case("train", words, progress, same, f"steps, a checkpoint every {CHECKPOINT_STEPS}")


def bulk_case(work: Path) -> Case:
    """``score --out``: parts of a few images, written whole or not at all."""
    draw(work / "bulk", 1200, side=32, rng=np.random.default_rng(4))
    words = ["score", str(work / "bulk"), "--out", "OUT", "--detector", "small_detector:small", "--part", str(BATCH)]
    words += ["--batch-size", str(BATCH), "--backend", "torch", "--device", "cpu"]

    def rows(out: Path) -> list[tuple]:
        from pyarrow import parquet

        found = [parquet.read_table(part).to_pylist() for part in sorted(out.glob("*.parquet"))]
        return sorted((row["path"], row["logit"], row["error"]) for table in found for row in table)

    def same(whole: Path, out: Path) -> list[str]:
        return leftovers(out) + ([] if rows(whole) == rows(out) else ["rows differ from those of the unbroken run"])

    return Case("score --out", words, lambda out: len(rows(out)), same, f"images in parts of {BATCH}")


def zoo_train_case(work: Path) -> Case:
    """A generator of a few channels; the command's own recipes take hours, so its training function is called."""
    import torch

    from cnndetect.zoo.families import progan
    from cnndetect.zoo.loop import Job

    steps = 60
    tiny = progan.ProGANConfig(channels=(4, 4, 4, 4, 4, 4), latent=4, phases=((8, 0, 4 * steps, 4),))
    photos = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))

    def progress(out: Path) -> int:
        path = out / "checkpoint.pt"
        return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0

    def same(whole: Path, out: Path) -> list[str]:
        first, second = (torch.load(one / "checkpoint.pt", weights_only=True) for one in (whole, out))
        wrong = leftovers(out)
        for part in ("generator", "average", "discriminator"):
            if any(not torch.equal(value, second["state"][part][key]) for key, value in first["state"][part].items()):
                wrong.append(f"weights of the {part} differ")
        steps = [[json.loads(line)["step"] for line in (one / "log.jsonl").read_text().splitlines()] for one in (whole, out)]
        return wrong + ([] if steps[0] == steps[1] else ["log.jsonl has other steps"])

    def train(out: Path) -> object:
        return progan.train(photos, tiny, Job(out, checkpoint_seconds=0, log_steps=5))

    return Case("zoo train", train, progress, same, "steps, a checkpoint at each")


def zoo_samples_case(work: Path) -> Case:
    """Samples of a generator: one file each, so a kill may cost the one under way."""
    import torch

    from cnndetect.zoo import registry
    from cnndetect.zoo.families import progan
    from cnndetect.zoo.loop import Job

    tiny = progan.ProGANConfig(channels=(4, 4, 4, 4, 4, 4), latent=4, phases=((8, 0, 4, 4),))
    photos = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    weights = registry.export("progan", progan.train(photos, tiny, Job(work / "progan")), work / "generator.pt")
    rng = np.random.default_rng(3)
    draw(work / "photos" / "cat", 40, side=256, rng=rng)
    words = ["zoo", "build-training", "--photos", str(work / "photos"), "--generator", f"cat={weights}", "--out", "OUT"]

    def files(out: Path) -> dict[str, bytes]:
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    def progress(out: Path) -> int:
        from cnndetect.images import list_images, to_rgb_array

        found = list_images(out) if out.exists() else []
        for path in found:
            to_rgb_array(path)  # a file that is there is whole
        return len(found)

    def same(whole: Path, out: Path) -> list[str]:
        first, second = files(whole), files(out)
        return leftovers(out) + [f"{name} differs" for name in sorted({*first, *second}) if first.get(name) != second.get(name)][:3]

    return Case("zoo build-training", words, progress, same, "images, one file each")
