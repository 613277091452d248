"""Bulk scoring on a real Ray cluster of two machines' worth of workers, one of which is killed in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray.data")
dataset = pytest.importorskip("pyarrow.dataset")

IMAGES, PER_PART = 24, 2

# On a busy machine Ray would kill workers for the memory of others, and take slow nodes for dead.
RAY = {
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_USAGE_STATS_ENABLED": "0",
}

# Ray warns and threads as it likes, so it has a process of its own. Batches are noted, and wait until both workers have begun.
PROGRAM = """
import os, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
import cnndetect

photos, out = sys.argv[1:]
small = 100 * 1024 * 1024


def patient(start):
    for _ in range(5):  # Ray gives a node half a minute to start, which a busy machine exceeds
        try:
            return start()
        except Exception as error:
            print(error, file=sys.stderr)
    sys.exit("no node started")


head = {"num_cpus": 0, "object_store_memory": small, "include_dashboard": False}
cluster = patient(lambda: Cluster(initialize_head=True, head_node_args=head))
nodes = [patient(lambda: cluster.add_node(num_cpus=1, object_store_memory=small)) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
# This process hangs on one of the nodes and would die with it.
victim = next(node for node in nodes if node.node_id != ray.get_runtime_context().get_node_id())


def kill_one():
    seen = set()
    while len(seen) < 2:  # both work
        time.sleep(0.05)
        seen = {line.split()[0] for line in Path(os.environ["NOTES"]).read_text().splitlines()}
    cluster.remove_node(victim, allow_graceful=False)
    Path(os.environ["NOTES"] + ".killed").write_text(str(len(list(Path(out).glob("*.parquet")))))


killer = threading.Thread(target=kill_one)
killer.start()
found = cnndetect.score_dataset(photos, out, detector="noted_for_tests:make", device="cpu", engine="ray", images_per_part=2)
killer.join()
alive = sum(node["Alive"] for node in ray.nodes())
again = cnndetect.score_dataset(photos, out, detector="noted_for_tests:make", device="cpu", engine="ray", images_per_part=2)
print(found.images, found.failed, again.images, again.found, alive, flush=True)
ray.shutdown()  # before the nodes end, or Ray ends this process with status 1
cluster.shutdown()
"""

DETECTOR = """
import os, time
from cnndetect.detectors.base import Detector

def network(batch):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{os.getpid()} {len(batch)}\\n")
    deadline = time.monotonic() + 240
    while len({line.split()[0] for line in open(os.environ["NOTES"])}) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    return batch.mean((1, 2, 3))

def make():
    return Detector("noted", network, identity="noted-1")
"""


@pytest.mark.slow
def test_a_killed_machine_costs_no_image_and_scores_none_twice(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(IMAGES):
        Image.fromarray(np.full((8, 8, 3), 8 * number, np.uint8)).save(photos / f"{number:02d}.png")
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    (tmp_path / "noted_for_tests.py").write_text(DETECTOR)
    notes = tmp_path / "notes"
    notes.touch()
    places = [str(Path(__file__).resolve().parents[2]), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "NOTES": str(notes), **RAY}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-c", PROGRAM, str(photos), str(tmp_path / "out")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]

    total = IMAGES + 1
    assert run.stdout.split()[-5:] == [str(total), "1", str(total), str(total), "2"]  # the head and one worker are left
    rows = dataset.dataset(tmp_path / "out", format="parquet").to_table().to_pylist()
    assert len({row["path"] for row in rows}) == len(rows) == total
    assert [row["path"] for row in rows if row["error"]] == [str(photos / "broken.png")]
    logits = [row["logit"] for row in sorted(rows, key=lambda row: row["path"]) if row["error"] is None]
    assert logits == sorted(logits) and len(set(logits)) == IMAGES
    scored = [int(line.split()[1]) for line in notes.read_text().splitlines()]
    assert len({line.split()[0] for line in notes.read_text().splitlines()}) >= 2
    assert IMAGES <= sum(scored) <= IMAGES + PER_PART  # the killed worker's part under way, and nothing else
    assert int(Path(f"{notes}.killed").read_text()) < IMAGES // PER_PART  # it was the middle
