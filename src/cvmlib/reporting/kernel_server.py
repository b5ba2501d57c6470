"""A process that has imported what notebooks use, and becomes a notebook's kernel by forking.

Starting Python and importing PyMC, pandas, Matplotlib and this library takes longer than many a page; here it is done
once for all notebooks of a build. `cvmlib.reporting.kernels` starts this module and speaks with it in lines of JSON:
a request holds the arguments, the environment and the folder of a kernel, the answer its process id, and when a kernel
has ended its exit code follows. The server ends when its standard input does.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import warnings
from typing import Any

#: Imported besides the modules of this library. None may start a thread that a copy would miss.
_PACKAGES = ("ipykernel.kernelapp", "matplotlib.pyplot", "pymc", "arviz", "nutpie", "ibis", "great_tables")


def preload() -> None:
    """Import what notebooks use; what cannot be imported is left to the notebook that needs it, which will say so."""
    import cvmlib

    for name in _PACKAGES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for module in pkgutil.walk_packages(cvmlib.__path__, "cvmlib.", onerror=lambda _: None):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)
    with contextlib.suppress(Exception):
        _show()
    gc.collect()
    gc.freeze()  # the copies share this memory as long as the collector does not touch it


def _show() -> None:
    """Make a figure, a table and prose once: what they load at their first use (fonts, encoders, parsers) is kept."""
    import pandas as pd

    from cvmlib import plots
    from cvmlib.reporting import components, figures, tables

    numbers = pd.DataFrame({"name": ["a", "b"], "mean": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]})
    figures.figure_html(plots.forest(numbers).figure, "example", numbers, "example", "example")
    tables.table_html(numbers, "example", "example")
    components.prose_html("*example* $x$")


def serve(requests: int, answers: int) -> dict[str, Any] | None:
    """Answer requests until their end; in a process that has been forked, return the request it shall be the kernel of.

    Parameters
    ----------
    requests, answers : int
        File descriptors.
    """
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    rest = b""
    while True:
        ready, _, _ = select.select([requests, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _report_ended(answers)
        if requests in ready:
            received = os.read(requests, 1 << 16)
            if not received:
                return None
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    for descriptor in (requests, answers, wake, woken):
                        os.close(descriptor)
                    return json.loads(line)
                _answer(answers, {"pid": child})


def _report_ended(answers: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _answer(answers, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _answer(answers: int, content: dict[str, int]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(answers, json.dumps(content).encode() + b"\n")


def become_kernel(request: dict[str, Any]) -> None:
    """Be the kernel of a request until it ends."""
    from ipykernel import kernelapp

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"] | {"JPY_PARENT_PID": str(os.getppid())})  # it ends when the server does
    os.chdir(request["cwd"])
    sys.argv = ["ipykernel_launcher", *request["argv"]]
    kernelapp.launch_new_instance(argv=request["argv"])


def main() -> None:
    """Serve on standard input and output; what is printed goes to standard error."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Python warns of any thread; the one there is belongs to Arrow's allocator, which prepares itself for forking.
    warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
    preload()
    request = serve(requests, answers)
    if request is not None:
        become_kernel(request)


if __name__ == "__main__":
    main()
