# %% [markdown]
# # Tutorial: from an image to a report
#
# A script in cells (`# %%`). `docs/tutorial.ipynb` is the same as a notebook with its output, and `python docs/tutorial.py OUT` runs the
# script. It needs `pip install 'cnndetect[report,frames]'`, but no network and no GPU, and writes below OUT only.
# ruff: noqa: E402

# %%
import sys
from pathlib import Path

import cnndetect

out = Path(sys.argv[1] if len(sys.argv) == 2 else "tutorial-output")

# %% [markdown]
# ## 1. Score a few images
#
# The embedded suite `mini` has one test set per generator. A score is in [0, 1], and higher is more fake. It ranks images; it is not the
# probability that an image from the internet is fake.

# %%
from cnndetect.bench import find_suites
from cnndetect.data import scan

(mini,) = find_suites("mini")
test_set = mini.sets[0]
samples = scan(test_set.root)
few = [next(s for s in samples if s.label == label) for label in (0, 1)]
for sample, score in zip(few, cnndetect.score([s.path for s in few]), strict=True):
    print(f"{score:.3f}  {sample.relative}")

# %% [markdown]
# ## 2. See where a score comes from
#
# `explain` gives a map: red speaks for fake, blue for real. In a notebook the image appears beside its map; `figure()` adds a scale.

# %%
from cnndetect import explain

found = explain(few[1].path)
found.figure(title="a fake")

# %% [markdown]
# ## 3. Bring a detector of your own
#
# Any function from a batch `[N, 3, H, W]` to `[N]` numbers is a detector. The batch is normalised: ImageNet's mean is removed, and it is divided by
# ImageNet's deviation. This detector says that images with little detail are fake. With `limit` it is a trial on a few images, which is
# marked as not a result and stays out of every table.

# %%


def smooth(images):
    """Minus the mean step from a pixel to its right neighbour: [N, 3, H, W] -> [N]."""
    return -(images[..., 1:] - images[..., :-1]).abs().mean(dim=(1, 2, 3))


trial = cnndetect.benchmark(smooth, "mini", limit=10, draws=200, results=out / "results")
trial.frame()[["test_set", "n_real", "n_fake", "ap", "auc"]]

# %%
trial.plot()

# %% [markdown]
# ## 4. Look into stored scores
#
# Every number and figure is computed from stored scores: one logit per image, and what produced it. Those of the bundled detectors come with
# the package. Average precision asks whether fakes are ranked above photographs; the interval says how far the choice of photographs
# moves it. Detectors trained on more than ProGAN have a ranking of their own.

# %%
from cnndetect.report import read_inputs

inputs = read_inputs("mini", protocol="nocrop", draws=200)
for ranking in inputs.rankings:
    print(ranking.title)
    for standing in ranking.standings.complete:
        ap = standing.macro
        print(f"rank {standing.rank:g}  {standing.detector:<24} mean AP {100 * ap.value:.1f} % [{100 * ap.low:.1f}, {100 * ap.high:.1f}]")

# %% [markdown]
# ## 5. Is the difference real?
#
# Two detectors that saw the same photographs are compared pair by pair. Where the interval of the difference includes 0, call it a tie,
# whatever the two single intervals look like.

# %%
from cnndetect.bench import differences

for (better, other), difference in list(differences(inputs.standings.complete).items())[:3]:
    points = f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    print(f"{better} minus {other}: {points}: {'a difference' if difference.excludes_zero else 'a tie'}")

# %% [markdown]
# ## 6. Draw
#
# Every figure of the report is a function that returns a matplotlib `Figure`. Save it, or let a notebook show it.

# %%
from cnndetect.report import histograms, roc

family = inputs.families[0]
sets = inputs.scores(family)
thresholds = {name: inputs.rows[name][family].result.threshold_logit for name in sets}
out.mkdir(parents=True, exist_ok=True)
roc(sets, title=f"{family}: ROC").savefig(out / "roc.png", dpi=144)
figure = histograms(sets, thresholds=thresholds, title=f"{family}: real against fake")
figure.savefig(out / "scores.svg")
figure  # noqa: B018

# %% [markdown]
# The line is the threshold that was frozen on validation images. Where both histograms lie on one side of it, a detector ranks well and still
# classifies badly: compare its AP with its accuracies.

# %%
for name in sets:
    metrics = inputs.rows[name][family].result.metrics
    real, fake = metrics.accuracy_real.value, metrics.accuracy_fake.value
    print(f"{name:<24} AP {metrics.ap.value:.2f}   correct above or below logit 0: real {real:.2f}, fake {fake:.2f}")

# %% [markdown]
# ## 7. Could the files have told?
#
# Before you believe a number, ask whether real and fake differ in their *files*. `quiet` means that a classifier which sees only container,
# encoder, size and metadata does no better than chance.

# %%
from cnndetect.analysis import audit_set

audit = audit_set(test_set.root, draws=100)
print(f"{audit.name}: {audit.verdict}; AP by files alone {audit.metadata.value:.2f}, by pixel statistics {audit.statistics.value:.2f}")

# %% [markdown]
# ## 8. The report
#
# The same as `cnndetect report --suite mini --out OUT`, here with two of its sections. Open `report.html` in any browser; it needs no
# network.

# %%
from cnndetect.report import build_report

report = build_report(inputs, out / "report", sections=["leaderboard", "comparison"], command="docs/tutorial.py")
print(f"{report.page}, with {len(report.files)} files beside it")
