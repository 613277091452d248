"""The model card of a detector, made from its record alone."""

from __future__ import annotations

from typing import Any

from cnndetect.detectors.records import WeightsRecord

# Names that the Hub knows; see huggingface.co/docs/hub/repositories-licenses.
LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0"}
)


def model_card(record: WeightsRecord) -> str:
    """Markdown with the header of a card of the Hub.

    >>> print(model_card(WeightsRecord(name="mine", file="mine.safetensors", sha256="0" * 64, licence="MIT")).splitlines()[1])
    license: mit
    """
    licence = record.licence.lower().replace(" ", "-")
    known = [f"license: {licence}"] if licence in LICENCES else ["license: other", f"license_name: {_quoted(record.licence)}"]
    head = ["---", *known, "library_name: cnndetect", "pipeline_tag: image-classification"]
    head += ["tags:", "- cnndetect", "- image-forensics", "- generated-image-detection", "---"]
    saw = {True: "ProGAN's alone", False: "those of more than ProGAN", None: "not stated whether of ProGAN alone"}[record.progan_only]
    facts: list[tuple[str, Any]] = [
        ("architecture", record.architecture or record.network),
        ("input", record.transform),
        ("protocol", record.protocol),
        ("output", "one logit, higher is more fake"),
        ("training images", record.training_data),
        ("generated images that it saw", saw + (", some of them photographs passed through a generator" if record.resynthesised else "")),
        ("recipe", record.recipe),
        ("command", f"`{record.command}`" if record.command else ""),
        ("seed", record.seed),
        ("initialisation", record.initialisation),
        ("threshold (logit)", record.threshold_logit),
        ("temperature", record.temperature),
        ("unsure between (logits)", _unsure(record)),
        ("threshold fitted on", _fitted(record)),
        ("bits of a weight", record.packing.bits if record.packing else None),
        ("licence", record.licence),
        ("SHA-256 of the weights", f"`{record.sha256}`"),
        ("note", record.note),
    ]
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts if value not in (None, "")]
    return "\n".join([*head, "", *_top(record), "| | |", "| -- | -- |", *rows, "", *_LIMITS, ""])


def _top(record: WeightsRecord) -> list[str]:
    return [
        f"# {record.title or record.name}",
        "",
        "A detector of generated images for [cnndetect](https://pypi.org/project/cnndetect/).",
        "",
        "```python",
        "import cnndetect",
        "",
        'detector = cnndetect.load("hf://USER/REPO")  # or the folder of these files',
        'print(detector.score("photo.jpg"))',
        "```",
        "",
    ]


_LIMITS = [
    "## Limits",
    "",
    "A score is a sign, no proof. A detector knows the generators that it was trained on and those that leave like traces; compression,",
    "resizing and editing remove such traces. The threshold was frozen on validation images and is not that of other images.",
]


def _unsure(record: WeightsRecord) -> str:
    return "" if record.verdict is None else f"{record.verdict.real_below_logit:.4g} and {record.verdict.fake_above_logit:.4g}"


def _fitted(record: WeightsRecord) -> str:
    return ", ".join(f"{name} {value}" for name, value in (record.fitted_on or {}).items())


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
