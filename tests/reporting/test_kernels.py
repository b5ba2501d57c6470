"""Kernels are copies of one process: they find its imports, share nothing else, and die alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cvmlib.reporting import kernels, run
from tests.reporting.conftest import make_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
LOOK = """
import builtins, os, sys
found = dict(parent=os.getppid(), pymc="pymc" in sys.modules, seen=getattr(builtins, "seen", None),
             here=os.environ.get("HERE"), there=os.environ.get("THERE"), folder=os.getcwd())
builtins.seen = True
import json
print(json.dumps(found))
"""


def look(folder: Path, name: str) -> dict:
    copy = folder / f"{name}-copy.ipynb"
    assert run.run_notebook(make_notebook(folder / f"{name}.ipynb", LOOK), copy, {}, folder) is None
    texts = [o["text"] for cell in json.loads(copy.read_text())["cells"] for o in cell.get("outputs", [])]
    return json.loads("".join(texts[-1]))


def test_kernels_find_what_their_parent_has_imported_and_nothing_of_each_other(tmp_path, monkeypatch):
    folder = tmp_path / "other"
    folder.mkdir()
    first, second = look(folder, "a"), look(tmp_path, "b")
    assert first["folder"] == str(folder)
    assert first["parent"] == second["parent"] != os.getpid()
    assert first["pymc"] and second["pymc"] and first["seen"] is None and second["seen"] is None
    assert second["folder"] == str(tmp_path)
    monkeypatch.setenv("HERE", "yes")  # what is imported may have read it, so its kernels have another parent
    third = look(tmp_path, "c")
    assert third["here"] == "yes" and third["there"] is None and third["parent"] != first["parent"]


def test_a_kernel_that_dies_takes_no_other_with_it(tmp_path):
    before = look(tmp_path, "a")
    source = make_notebook(tmp_path / "dies.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "died" in run.run_notebook(source, tmp_path / "copy.ipynb", {}, tmp_path).message.lower()
    assert look(tmp_path, "b")["parent"] == before["parent"]


def test_after_the_parent_has_died_there_is_another(tmp_path):
    before = look(tmp_path, "a")
    os.kill(before["parent"], 9)
    after = look(tmp_path, "b")
    assert after["parent"] != before["parent"] and after["pymc"]


def test_where_forking_is_not_safe_a_kernel_starts_as_usual(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    found = look(tmp_path, "a")
    assert found["parent"] == os.getpid() and not found["pymc"]


def test_a_number_that_comes_round_again_is_another_kernel():
    reading, writing = os.pipe()
    server = object.__new__(kernels.KernelServer)
    server._process = SimpleNamespace(stdout=SimpleNamespace(fileno=lambda: reading))
    server._rest, server._started, server._ended = b"", [], {7: 0}
    os.write(writing, b'{"pid": 7}\n')
    assert server.exit_code(7) is None and server._started == [7]
    os.write(writing, b'{"ended": 7, "code": -9}\n')
    assert server.exit_code(7) == -9
    os.close(reading)
    os.close(writing)


def test_a_process_waits_for_its_kernels_so_that_their_time_is_counted(tmp_path):
    work = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass"
    make_notebook(tmp_path / "a.ipynb", work)
    code = f"""
import resource
from multiprocessing.util import _exit_function
from pathlib import Path
from types import SimpleNamespace
from cvmlib.reporting import run
folder = Path({str(tmp_path)!r})
assert run.run_notebook(folder / "a.ipynb", folder / "copy.ipynb", {{}}, folder) is None
_exit_function()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert float(done.stdout) > 2.0  # a second in the kernel, and the imports of its parent
