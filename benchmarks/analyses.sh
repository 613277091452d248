#!/bin/sh
# Makes the figures of docs/figures and the outputs that docs/audit.md and docs/robustness.md quote anew, after the suite,
# the detector or a figure has changed. From the root of the repository:  sh benchmarks/analyses.sh
# Degraded scores are kept where the bench keeps them (CNNDETECT_RESULTS); clean ones are those that ship.
set -eu
export PYTHONPATH="$PWD"
python=${PYTHON:-python}
default=$("$python" -c "from cnndetect.detectors.weights import DEFAULT_DETECTOR; print(DEFAULT_DETECTOR)")

"$python" benchmarks/refresh_docs.py docs/audit.md docs/robustness.md
report=$(mktemp -d)
"$python" -m cnndetect report --suite mini --max-images none --detector "$default" --results benchmarks/results \
    --section spectra --section robustness --section fakeness --section explain --out "$report"
cp "$report"/figures/*.png docs/figures/
# Peaks of all families in one file.
awk "NR == 1 || FNR > 1" "$report"/data/spectra-[0-9]*.csv > docs/figures/spectrum-peaks.csv
# Sheets of photographs as JPEG; what no page shows goes.
"$python" - <<'PY'
from pathlib import Path
from PIL import Image
for path in Path("docs/figures").glob("*.png"):
    if path.name.startswith(("explain-", "sheet-")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((760, 9000), Image.Resampling.LANCZOS)
        picture.save(path.with_suffix(".jpg"), quality=62)
PY
for figure in docs/figures/*; do
    grep -q "$(basename "$figure")" docs/*.md || rm "$figure"
done
"$python" benchmarks/shrink_figures.py docs/figures/*.png docs/gallery/*.png
