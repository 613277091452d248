"""The command: it says where it listens, answers with the bundled detector or another, and ends at Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from served import png

from cnndetect.errors import ProtocolError
from cnndetect.serve.run import bound


def test_it_tells_its_address_scores_and_ends_at_an_interrupt(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, "-m", "cnndetect", "serve", "--port", "0", "--detector", "served:tiny", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    assert address, process.stderr
    asked = urllib.request.Request(address[0] + "api/score", png(), {"content-type": "image/png"})
    assert b'"verdict"' in urllib.request.urlopen(asked, timeout=60).read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and errors == ""
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_misuse() -> None:
    first = bound("127.0.0.1", 0)
    with first, pytest.raises(ProtocolError, match="Choose another --port"):
        bound("127.0.0.1", first.getsockname()[1])
