"""docs/performance.md and its plot, from the JSON files in this folder: ``python benchmarks/speed/page.py``.

``python benchmarks/speed/all.py`` measures them again and calls this.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from cnndetect.files import write_whole

HERE = Path(__file__).resolve().parent
PLOT = "figures/performance.svg"
FILES = ("scoring", "latency", "choice", "precision", "gpu", "autocast", "zoo")

# Assumptions of the cost: a list price that is easy to replace, and machines that do nothing else.
DOLLARS_PER_CORE_HOUR = 0.04
SIZES = ("64", "224", "1024", "4000")
BARS = {"float32": 3.5, "bfloat16": 7.0, "int8": 13.0}

TEXT = (HERE / "page.txt").read_text(encoding="utf-8")


def main() -> None:
    """Write the page and the plot."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--figures", type=Path, default=HERE, metavar="DIR", help="of the JSON files (default: this folder)")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs" / "performance.md")
    options = parser.parse_args()
    found = {name: read(options.figures / f"{name}.json") for name in FILES}
    content = found["scoring"]
    machine = content["machine"]
    gemm = " and ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in machine["gemm_gflops"].items())
    text = TEXT.format(
        measured=f"Measured on {machine['cores']} cores of a {machine['processor']} with PyTorch {machine['torch']}.{without_bfloat16(machine)}",
        conditions=conditions(machine),
        tables="\n\n".join(cost_table(name, kept, machine) for name, kept in content["detectors"].items()),
        plot=PLOT, gemm=gemm,
        verdict=verdict(content), missing=missing(content),
        peak=f", with a batch of {machine['peak_batch']}" if "peak_batch" in machine else "",
        latency=latency(found["latency"]), billion=billion(content), precision=precision(found["choice"] + found["precision"]),
        gpu=gpu(found["gpu"]), training=training(found["autocast"]), zoo=zoo(found["zoo"]), others=strangers(content),
    )  # fmt: skip
    write_whole(options.out, text.rstrip() + "\n")
    plot(content, options.out.parent / PLOT)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def without_bfloat16(machine: dict[str, Any]) -> str:
    """What the measured speed of matrix products says of the processor."""
    rates = machine["gemm_gflops"]
    slower = rates["bfloat16"] < rates["float32"]
    return (
        " Products in bfloat16 are slower than in float32 on it: it has no instructions for them, so bfloat16 gains nothing here." * slower
    )


def strangers(content: dict[str, Any]) -> str:
    """What is said of measured networks that do not ship."""
    from cnndetect.detectors.records import registered

    absent = [name for name in content["detectors"] if name not in registered()]
    return (
        f"\nNo bundled detector is called {' or '.join(absent)}: another checkpoint of that network was measured, which is as fast."
        * bool(absent)
    )


def conditions(machine: dict[str, Any]) -> str:
    shared = (
        f"The machine was shared: {machine['load']:.0f} processes wanted its {machine['cores']} cores. Shared caches and memory slow every "
        "way, so ratios within the table are fairer than the images per second. "
    )
    return (
        "Processor time on one thread is compared, decoding of JPEG included; repetitions of all ways are interleaved and the least counts. "
        f"{shared if machine['load'] > 2 * machine['cores'] else ''}`mixed` are images of different sizes, 96 to 320 px a side. Dollars assume "
        f"{DOLLARS_PER_CORE_HOUR} a core hour."
    )


def cost_table(name: str, kept: dict[str, Any], machine: dict[str, Any]) -> str:
    """The ways of one detector at every size."""
    rows = []
    for size, ways in in_order(kept["sizes"]):
        first = ways.get("official", ways.get("torch/float32"))
        for way, row in ways.items():
            limit = kept["flops_224"] * (int(size) / 224) ** 2 / machine["gemm_gflops"]["float32"] / 1e9 if size.isdigit() else None
            rows.append([
                size, row["images"], way, few(1 / row["cpu_s"]), first["cpu_s"] / row["cpu_s"] if first else None, row["peak_gb"],
                dollars(row["cpu_s"]) * 1e6, limit and limit / row["cpu_s"], f"{row['largest_difference']:.0e}",
            ])  # fmt: skip
    base = "official" if any("official" in ways for ways in kept["sizes"].values()) else "torch"
    head = ["px", "batch", "way", "images/s of a core", f"times {base}", "peak GB", "$ per million", "share of the limit", "logits off by"]
    table = tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", "", ".2f", ".2f", ".2f", ".2f", ""), missingval="-",
                     disable_numparse=[3], colalign=("left", "right", "left", "right", *["right"] * 5))  # fmt: skip
    return f"**{name}** ({kept['network']}, {kept['flops_224'] / 1e9:.1f} GFLOP at 224 px):\n\n{table}"


def in_order(sizes: dict[str, Any]) -> list[tuple[str, Any]]:
    """Sizes from small to large, mixed ones last."""
    return sorted(sizes.items(), key=lambda one: int(one[0]) if one[0].isdigit() else 10**9)


def verdict(content: dict[str, Any]) -> str:
    """How far the bars are, for the network that the official code has too."""
    rate, rows, shares = content["machine"]["gemm_gflops"]["float32"] * 1e9, [], []
    for kept in content["detectors"].values():
        for size, ways in in_order(kept["sizes"]):
            if "official" not in ways or (size.isdigit() and int(size) < 224):
                continue
            first = ways["official"]["cpu_s"]
            if size.isdigit():
                shares.append(f"{kept['flops_224'] * (int(size) / 224) ** 2 / rate / first:.0%} ({size} px)")
            for name, bar in BARS.items():
                times = {way: first / row["cpu_s"] for way, row in ways.items() if way.endswith(f"/{name}")}
                if times:
                    way = max(times, key=lambda one: times[one])
                    rows.append([size, way, times[way], bar, "yes" if times[way] >= bar else "no"])
    if not rows:
        return ""
    head = ["px", "fastest way", "times official", "asked for", "reached"]
    return (
        "The project asked for so many times the speed of the official network, on the same files, weights and core:\n\n"
        + tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", ".2f", "g", ""))
        + f"\n\nThe official network itself works at {' and '.join(shares)} of the limit of this core. Where that share is above 1/3.5, an "
        "engine that does the same multiplications in float32 at the full rate of the core is less than 3.5 times as fast. Two engines were "
        "tried, ONNX Runtime and OpenVINO."
    )


def missing(content: dict[str, Any]) -> str:
    """Sizes that were not measured."""
    absent = [f"{size} px of {name}" for name, kept in content["detectors"].items() for size in SIZES if size not in kept["sizes"]]
    return f"Not measured: {', '.join(absent)}. " if absent else ""


def few(rate: float) -> str:
    """Two decimals, or two digits where those would be none."""
    return f"{rate:.2f}" if rate >= 0.1 else f"{rate:.2g}"


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
        "Extrapolated from the 224 px rows, nothing of it was run. Assumed: every image has 224 px; cores as fast as this one; "
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
        "One image, one suite and its report from stored scores (`python benchmarks/speed/latency.py`), on all cores. The bars are wall "
        "seconds of a machine at rest; that of the report is processor seconds:\n\n"
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
    losing = ", ".join(row["network"] for row in found if row["bfloat16"] < row["float32"])
    slower = f"Slower in bfloat16 on this processor, so better trained in float32 on it: {losing}.\n" if losing else ""
    return (
        "## Training in bfloat16\n\n    python benchmarks/speed/autocast.py --out benchmarks/speed/autocast.json\n\n"
        "A step (forward, backward, Adam) on one thread, processor time, channels last:\n\n"
        + tabulate(rows, headers=head, tablefmt="github", floatfmt=("", "", "", ".1f", ".1f", ".2f"))
        + f"\n\n{slower}"
    )


def zoo(found: list[dict[str, Any]]) -> str:
    """Whether generators may make several images at once."""
    if not found:
        return ""
    rows = [[row["generator"], row["singly_ms"], row["together_ms"], row["differing"], row["values"]] for row in found if "values" in row]
    untried: dict[str, list[str]] = {}
    for row in found:
        if "note" in row:
            untried.setdefault(row["note"], []).append(row["generator"])
    others = "; ".join(f"{', '.join(names)} ({note})" for note, names in untried.items())
    others = f" Not tried: {others}." if others else ""
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
