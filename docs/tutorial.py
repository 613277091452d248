# %% [markdown]
# # Tutorial: from an image to a report
#
# A script in cells (`# %%`): editors show it as a notebook, and `python docs/tutorial.py OUT` runs it from top to bottom. It needs
# `pip install 'cnndetect[report]'`, no network and no GPU, and takes about half a minute. Everything it writes goes below OUT.
# ruff: noqa: E402

# %%
import sys
from pathlib import Path

import numpy as np

import cnndetect

out = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial-output")

# %% [markdown]
# ## 1. Score a few images
#
# The embedded suite `mini` has test sets of generators, one folder each. A score is in [0, 1], higher is more fake. It ranks; it is
# no probability of being fake in the wild.

# %%
from cnndetect.bench.suites import find_suites
from cnndetect.data.folders import scan

(mini,) = find_suites("mini")
test_set = mini.sets[0]
samples = scan(test_set.root)
few = [next(s for s in samples if s.label == label) for label in (0, 1)]
for sample, score in zip(few, cnndetect.score([s.path for s in few]), strict=True):
    print(f"{score:.3f}  {sample.relative}")

# %% [markdown]
# ## 2. Bring a detector of your own
#
# Any function from a batch `[N, 3, H, W]` to `[N]` numbers is a detector. The images arrive normalised: RGB in [0, 1] minus the
# ImageNet mean, divided by the ImageNet deviation, so about -2.1 to 2.6. This one says that images with little detail are fake.
# With `limit` it is a trial on a few images, which is marked as not a result and stays out of every table.

# %%


def smooth(images):
    """Minus the mean step from a pixel to its right neighbour: [N, 3, H, W] -> [N]."""
    return -(images[..., 1:] - images[..., :-1]).abs().mean(dim=(1, 2, 3))


trial = cnndetect.benchmark(smooth, "mini", limit=10, draws=200, results=out / "results")
print(trial.table())

# %% [markdown]
# ## 3. Look into stored scores
#
# Every number and figure is computed from stored scores: one logit an image, with what made it. The scores of our detectors come
# with the package. AP asks whether fakes are ranked above reals; the interval says how far the choice of photographs moves it.

# %%
from cnndetect.report.inputs import read_inputs

inputs = read_inputs("mini", protocol="nocrop", draws=200)
for standing in inputs.standings.complete:
    ap = standing.macro
    print(f"rank {standing.rank:g}  {standing.detector:<24} macro mean AP {100 * ap.value:.1f} % [{100 * ap.low:.1f}, {100 * ap.high:.1f}]")

# %% [markdown]
# ## 4. Is the difference real?
#
# Two detectors saw the same photographs, so they are compared on the same draws. Where the interval of the difference includes 0,
# call it a tie, whatever the two intervals look like side by side.

# %%
from cnndetect.bench.standings import differences

for (better, other), difference in list(differences(inputs.standings.complete).items())[:3]:
    decided = difference.low > 0 or difference.high < 0
    points = f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    print(f"{better} minus {other}: {points}: {'a difference' if decided else 'a tie'}")

# %% [markdown]
# ## 5. Draw
#
# Every figure of the report is a function that returns a matplotlib `Figure`. Nothing is shown and no global state is touched:
# save it, or let a notebook display it.

# %%
from cnndetect.report.figures.curves import roc
from cnndetect.report.figures.histograms import histograms

family = inputs.families[0]
sets = inputs.scores(family)
thresholds = {name: inputs.rows[name][family].result.threshold_logit for name in sets}
out.mkdir(parents=True, exist_ok=True)
roc(sets, title=f"{family}: ROC").savefig(out / "roc.png", dpi=144)
histograms(sets, thresholds=thresholds, title=f"{family}: real against fake").savefig(out / "scores.svg")

# %% [markdown]
# Where the histograms of real and fake lie on one side of the threshold, a detector can rank well and still judge badly: compare
# its AP with its accuracy at the frozen threshold.

# %%
for name, scores in sets.items():
    metrics = inputs.rows[name][family].result.metrics
    real, fake = metrics.accuracy_real.value, metrics.accuracy_fake.value
    print(f"{name:<24} AP {metrics.ap.value:.2f}   judged rightly at 0: real {real:.2f}, fake {fake:.2f}")
    assert np.isfinite(scores.logits).all(), "a failed image would stand at its worst"

# %% [markdown]
# ## 6. Could the files have told?
#
# Before a number is believed, ask whether real and fake differ in their *files*. `quiet` means that a classifier that sees
# container, encoder, size and metadata alone does not beat chance.

# %%
from cnndetect.analysis.audit.verdict import audit_set

audit = audit_set(test_set.root, draws=100)
print(f"{audit.name}: {audit.verdict}; AP by files alone {audit.metadata.value:.2f}, by pixel statistics {audit.statistics.value:.2f}")

# %% [markdown]
# ## 7. The report
#
# The same as `python -m cnndetect.report --suite mini --out OUT`, here with three of its sections. Open `report.html` in any
# browser; it needs no network.

# %%
from cnndetect.report.build import build_report

report = build_report(inputs, out / "report", sections=["leaderboard", "forest", "comparison"], command="docs/tutorial.py")
print(f"{report.page}, with {len(report.files)} files beside it")
