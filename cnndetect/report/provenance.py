"""The report's closing table: which detector scored which images, and when."""

from __future__ import annotations

from cnndetect.report.inputs import Inputs
from cnndetect.report.page import Cell, Data, Table, Value


def provenance_table(inputs: Inputs) -> Table:
    """A row per stored run; the CSV has whole fingerprints."""
    head = ["detector", "family", "images", "test set", "weights or identity", "threshold", "scored at"]
    rows: list[list[Cell]] = []
    data = []
    for detector in inputs.detectors:
        for family, run in sorted(inputs.rows[detector].items(), key=lambda item: inputs.families.index(item[0])):
            r = run.result
            identity = str(r.provenance.identity or "not known")
            threshold = "none" if r.threshold_logit is None else f"{r.threshold_logit:.3f}"
            images, pixels = r.n_real + r.n_fake, r.provenance.fingerprint
            rows.append([detector, family, Value(str(images), images), pixels[:12], identity[:16], threshold, r.time[:10]])
            whole = [detector, family, images, pixels, identity, r.threshold_logit, r.time, r.commit]
            data.append([*whole, r.protocol, r.degradation, r.seed])
    columns = ["detector", "family", "images", "fingerprint", "identity", "threshold_logit", "time", "commit"]
    columns += ["protocol", "degradation", "seed"]
    return Table("runs", "The stored runs of this page. The CSV has whole fingerprints.", head, rows, Data(columns, data))
