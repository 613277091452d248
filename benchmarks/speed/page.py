"""docs/performance.md and its plot, from the JSON files that scoring.py, latency.py and precision.py wrote.

    python benchmarks/speed/page.py --scoring benchmarks/speed/scoring.json --latency benchmarks/speed/latency.json \\
        --precision benchmarks/speed/precision.json --out docs/performance.md
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from cnndetect.files import write_whole

PLOT = "figures/performance.svg"

# Assumptions of the cost: a list price that is easy to replace, and machines that do nothing else.
DOLLARS_PER_CORE_HOUR = 0.04
SIZES = ("64", "224", "1024", "4000")
BARS = {"float32": 3.5, "bfloat16": 7.0, "int8": 13.0}

TEXT = """# Performance

This page is made by `benchmarks/speed/page.py` from measured figures; the commands stand at each table. {measured}
`efficientnet-lite0` is a checkpoint of a network that was still being trained; its speed does not depend on that.

## Backends

`cnndetect score`, `cnndetect bench`, `cnndetect.score` and `cnndetect.benchmark` take `--backend` and `--precision`:

| backend     | float32                         | bfloat16 | int8 | installed with         |
|-------------|---------------------------------|----------|------|------------------------|
| torch       | the reference                   | autocast | no   | cnndetect              |
| onnxruntime | within 1e-4 of torch's logits   | no       | yes  | cnndetect              |
| openvino    | within 1e-4 of torch's logits   | yes      | yes  | cnndetect[openvino]    |
| compile     | within 1e-4 of torch's logits   | no       | no   | a C++ compiler         |

The default is the first of onnxruntime, openvino and torch that is installed and has the network's operations. It is compared with
torch on two fixed images when it is loaded; if a logit differs by more than 1e-4, one line says so and torch is used. Results name
backend and precision. bfloat16 and int8 are used only by name, and are then part of the detector's name. Heat maps, features and
training always use torch. ONNX Runtime is the one that is installed by default because it is as fast as OpenVINO within a tenth in
float32, its wheel has half the size (28 MB and 59 MB, and 9 MB for `onnx` with either), and it builds no kernels for every new image
size. On processors without VNNI instructions, int8 of ONNX Runtime may saturate; compare its logits there before use.

An image above 4 megapixels (1.2 for EfficientNet-Lite0) goes through torch in strips, whatever the backend: see
[large images](large-images.md). `cnndetect detectors export NAME FILE.onnx` writes any network that has an ONNX form here, with dynamic
height and width, after comparing it with torch on four sizes. Networks with a Fourier transform or CLAHE have none, and stay with torch.

int8 rounds what enters a convolution or an addition to 256 steps between two bounds, which are measured on validation photographs
(`cnndetect detectors ranges`) and lie beside the bundled weights. The first convolution computes in float. Packed weights enter as the
whole numbers that they are.

## Cost of an image

    python benchmarks/speed/scoring.py --out benchmarks/speed/scoring.json

{conditions}

{tables}

![images per second by side]({plot})

`official` is the official code's network (torchvision's ResNet-50 with one logit, the same weights) fed as its demo_dir.py feeds it:
ToTensor, Normalize, and as many images at once as the batch column says. "Limit" is the time in which this core's large matrix
products in float32 would do the network's operations, without decoding ({gemm}, measured in the same run). Lower precision and
convolutions by transforms can pass it.

{verdict} {missing} Peak memory was measured with a batch of 8, each way in a
process of its own; where it is missing, all ways ran in one process (`--one-process`).

{latency}

## A billion images

{billion}

## What lower precision costs

    python benchmarks/speed/precision.py --suite VALIDATION_PAIRS --limit 15 --results DIR --out validation.json
    python benchmarks/speed/precision.py --suite all --results DIR --out suites.json

The choices of int8 (bounds, which layer stays float) are made on validation pairs alone, with `--choose PHOTOGRAPHS`; test suites are
only reported. "widest, first layer float" is used: on so few images the AP of the four ways cannot be told apart, and the first layer
in int8 doubles the error of the logits of the neighbour-residual network. AP lost is that of float32 minus that of the way, in points;
negative where it rose. With 30 images in a set, one image out of order is worth a few tenths of a point.

{precision}

## GPU

The same code scores on a GPU: `--device cuda --precision bfloat16` computes channels last in bfloat16, while the next batch is copied as
bytes from pinned memory. `python benchmarks/speed/gpu.py` measures images per second on data in memory and from files. {gpu}

{training}

{zoo}"""


def main() -> None:
    """Write the page and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scoring", type=Path, required=True)
    parser.add_argument("--latency", type=Path)
    parser.add_argument("--precision", type=Path, action="append", default=[])
    parser.add_argument("--gpu", type=Path)
    parser.add_argument("--training", type=Path)
    parser.add_argument("--zoo", type=Path, help="lines of zoo.py --together")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    content = json.loads(options.scoring.read_text(encoding="utf-8"))
    machine = content["machine"]
    gemm = " and ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in machine["gemm_gflops"].items())
    text = TEXT.format(
        measured=f"Measured on {machine['cores']} cores of a {machine['processor']} with PyTorch {machine['torch']}.",
        conditions=conditions(machine),
        tables="\n\n".join(cost_table(name, kept, machine) for name, kept in content["detectors"].items()),
        plot=PLOT, gemm=gemm,
        verdict=verdict(content), missing=missing(content),
        latency=latency(read(options.latency)), billion=billion(content),
        precision=precision([row for path in options.precision for row in read(path)]),
        gpu=gpu(read(options.gpu)), training=training(read(options.training)),
        zoo=zoo([json.loads(line) for line in options.zoo.read_text(encoding="utf-8").splitlines()] if options.zoo else []),
    )  # fmt: skip
    write_whole(options.out, text.rstrip() + "\n")
    plot(content, options.out.parent / PLOT)


def read(path: Path | None) -> Any:
    return [] if path is None else json.loads(path.read_text(encoding="utf-8"))


def conditions(machine: dict[str, Any]) -> str:
    return (
        f"The machine was shared: {machine['load']:.0f} processes wanted its {machine['cores']} cores. So processor time on one thread is "
        "compared, decoding of JPEG included; repetitions of all ways are interleaved and the least counts. Shared caches and memory slow "
        "every way; ratios within the table are fairer than the images per second. `mixed` are images of different sizes, 96 to 320 px "
        f"a side. Dollars assume {DOLLARS_PER_CORE_HOUR} a core hour."
    )


def cost_table(name: str, kept: dict[str, Any], machine: dict[str, Any]) -> str:
    """The ways of one detector at every size."""
    rows = []
    for size, ways in sorted(kept["sizes"].items(), key=lambda one: int(one[0]) if one[0].isdigit() else 10**9):
        first = ways.get("official", ways.get("torch/float32"))
        for way, row in ways.items():
            limit = kept["flops_224"] * (int(size) / 224) ** 2 / machine["gemm_gflops"]["float32"] / 1e9 if size.isdigit() else None
            rows.append([
                size, row["images"], way, 1 / row["cpu_s"], first["cpu_s"] / row["cpu_s"] if first else None, row["peak_gb"],
                dollars(row["cpu_s"]) * 1e6, limit and limit / row["cpu_s"], f"{row['largest_difference']:.0e}",
            ])  # fmt: skip
    base = "official" if any("official" in ways for ways in kept["sizes"].values()) else "torch"
    head = ["px", "batch", "way", "images/s of a core", f"times {base}", "peak GB", "$ per million", "share of the limit", "logits off by"]
    table = tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", ".2f", ".2f", ".2f", ".2f", ".2f", ""), missingval="-")
    return f"**{name}** ({kept['network']}, {kept['flops_224'] / 1e9:.1f} GFLOP at 224 px):\n\n{table}"


def verdict(content: dict[str, Any]) -> str:
    """How far the bars are, for the network that the official code has too."""
    rate, words = content["machine"]["gemm_gflops"]["float32"] * 1e9, []
    asked = ", ".join(f"{bar:g} times ({name})" for name, bar in BARS.items())
    for kept in content["detectors"].values():
        for size, ways in kept["sizes"].items():
            if "official" not in ways or not size.isdigit() or int(size) < 224:
                continue
            first = ways["official"]["cpu_s"]
            share = kept["flops_224"] * (int(size) / 224) ** 2 / rate / first
            best = {
                name: max((first / row["cpu_s"] for way, row in ways.items() if way.endswith(f"/{name}")), default=None) for name in BARS
            }
            reached = ", ".join(f"{best[name]:.2f} of {bar:g} in {name}" for name, bar in BARS.items() if best[name])
            words.append(
                f"At {size} px the official network itself works at {share:.0%} of the limit, so float32 has no room for the ratio asked for. "
                f"The project asked for {asked}; measured: {reached}."
            )
    return " ".join(words)


def missing(content: dict[str, Any]) -> str:
    """Sizes that were not measured."""
    absent = [f"{size} px of {name}" for name, kept in content["detectors"].items() for size in SIZES if size not in kept["sizes"]]
    return f"Not measured: {', '.join(absent)}." if absent else ""


def dollars(cpu_s: float) -> float:
    return cpu_s / 3600 * DOLLARS_PER_CORE_HOUR


def billion(content: dict[str, Any]) -> str:
    """What 1e9 images of 224 px would take."""
    rows = [
        [name, way, row["cpu_s"] * 1e9 / 3600 / 1000, row["cpu_s"] * 1e9 / 86400 / 1000, dollars(row["cpu_s"]) * 1e9]
        for name, kept in content["detectors"].items()
        for way, row in kept["sizes"].get("224", {}).items()
    ]
    head = ["detector", "way", "thousand core hours", "days on 1,000 cores", "$"]
    return (
        "Extrapolated from the 224 px rows, nothing of it was run. Assumed: every image has 224 px; cores as slow as this shared one; "
        f"{DOLLARS_PER_CORE_HOUR} dollars a core hour; storage, network and failures cost nothing.\n\n"
        + tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", ".1f", ".2f", ",.0f"))
    )


def latency(found: list[dict[str, Any]]) -> str:
    """One image, a first call, the embedded suite."""
    if not found:
        return "One image, a cold process and the embedded suite: not measured. Run: python benchmarks/speed/latency.py"
    head = ["what", "detector", "backend", "processor s", "wall s", "bar s"]
    rows = [[row["what"], row["detector"], row["backend"], row["cpu_s"], row["wall_s"], row["bar_s"]] for row in found]
    return (
        "One image and one suite (`python benchmarks/speed/latency.py`), on all cores; the bars are wall seconds of a machine at rest:\n\n"
        + tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", ".3f", ".3f", "g"))
    )


def precision(found: list[dict[str, Any]]) -> str:
    """AP lost by suite and way."""
    if not found:
        return "Not measured."
    head = ["detector", "suite", "images", "way", "mean AP in float32", "mean AP lost", "most in a set", "logits off by (mean)"]
    rows = [
        [row["detector"], row["suite"], row["images"], row["way"], row["mean_ap"], row["mean_loss"], row["largest_loss"], row["mean_difference"]]
        for row in found
    ]  # fmt: skip
    return tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", "", ".2f", "+.3f", "+.3f", ".4f"))


def gpu(found: Any) -> str:
    if not found:
        return "**Not measured**: no GPU was at hand."
    return "\n\n" + tabulate(found, headers="keys", tablefmt="github", floatfmt=",.0f")


def training(found: Any) -> str:
    """What bfloat16 gains in training."""
    if not found:
        return ""
    head = ["network", "crop px", "batch", "float32 crops/s of a core", "bfloat16 crops/s of a core", "gain"]
    rows = [
        [row["network"], row["crop_px"], row["batch"], row["float32"], row["bfloat16"], row["bfloat16"] / row["float32"]] for row in found
    ]
    return (
        "## Training in bfloat16\n\n    python benchmarks/speed/autocast.py --out benchmarks/speed/autocast.json\n\n"
        "A step (forward, backward, Adam) on one thread, processor time, channels last:\n\n"
        + tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", ".1f", ".1f", ".2f"))
        + "\n\nDepthwise convolutions are slower in bfloat16 here, so EfficientNet-Lite0 trains in float32.\n"
    )


def zoo(found: list[dict[str, Any]]) -> str:
    """Whether generators may make several images at once."""
    if not found:
        return ""
    rows = [[row["generator"], row["singly_ms"], row["together_ms"], row["differing"], row["values"]] for row in found if "values" in row]
    noisy = [row["generator"] for row in found if "note" in row]
    others = (
        f" {', '.join(noisy)} can only be tried singly: noise is drawn inside the network, or it starts from photographs." if noisy else ""
    )
    return (
        "## Generators in batches\n\n    python benchmarks/speed/zoo.py --together weights/zoo/*.pt\n\n"
        "Eight images one by one and in one batch, processor time of an image on one thread, and how many 8-bit values come out "
        "differently:\n\n"
        + tabulate(rows, headers=["generator", "singly ms", "together ms", "values that differ", "of"], tablefmt="github", floatfmt=".1f")
        + f"\n\nA batch changes pixels, so the zoo makes one image at a time: same seed and index, same image.{others}\n"
    )


def plot(content: dict[str, Any], path: Path) -> None:
    """Images per second of a core over the side, one panel for each detector."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "performance"
    from matplotlib import pyplot

    detectors = content["detectors"]
    figure, axes = pyplot.subplots(1, len(detectors), figsize=(5.2 * len(detectors), 4), squeeze=False)
    for axis, (name, kept) in zip(axes[0], detectors.items(), strict=True):
        sizes = sorted(int(size) for size in kept["sizes"] if size.isdigit())
        for way in dict.fromkeys(way for ways in kept["sizes"].values() for way in ways):
            here = [size for size in sizes if way in kept["sizes"][str(size)]]
            axis.plot(here, [1 / kept["sizes"][str(size)][way]["cpu_s"] for size in here], marker="o", markersize=3, label=way)
        rate = content["machine"]["gemm_gflops"]["float32"] * 1e9
        axis.plot(sizes, [rate / (kept["flops_224"] * (size / 224) ** 2) for size in sizes], "k--", linewidth=1, label="limit (float32)")
        axis.set(xscale="log", yscale="log", xlabel="side of the image (px)", ylabel="images/s of a core", title=name)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.legend(fontsize=6)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
