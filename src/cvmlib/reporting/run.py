"""Run one notebook with papermill, in a kernel of its own, and say readably what went wrong."""

import contextlib
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cvmlib import environment

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KINDS = {"ConfigError": "config", "DataError": "data", "UnfitModelError": "model"}


@dataclass(frozen=True)
class Failure:
    """Why a step did not come to its end.

    Parameters
    ----------
    kind : {"config", "data", "model", "notebook"}
        Whose mistake it is, which decides the exit code.
    message : str
        For the person who can fix it: notebook, cell, what happened, where the executed copy is.
    problems : tuple of str
        For data: every problem, one text each.
    """

    kind: str
    message: str
    problems: tuple[str, ...] = ()


def run_notebook(
    source: Path,
    copy: Path,
    parameters: Mapping[str, object],
    folder: Path,
    provenance: Mapping[str, str] | None = None,
) -> Failure | None:
    """Execute a notebook and keep the executed copy, whether it succeeds or not.

    Parameters
    ----------
    source : pathlib.Path
        The notebook; it is not changed.
    copy : pathlib.Path
        Where the executed copy goes; its folder is made.
    parameters : mapping
        Values for its cell of parameters.
    folder : pathlib.Path
        Working folder of the kernel.
    provenance : mapping of str to str, optional
        What the page's footer will say; kept in the copy's metadata.

    Returns
    -------
    Failure or None
        What went wrong, if anything did.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from cvmlib.reporting.kernels import WarmKernelManager

    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _kernel_environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ipc = _own_sockets()
            notebook = papermill.execute_notebook(
                str(source),
                str(copy),
                dict(parameters),
                progress_bar=False,
                cwd=str(folder),
                config=ipc,
                kernel_manager_class=WarmKernelManager,
                extra_arguments=["--IPKernelApp.log_level=50"],  # what matters is in the cells
            )
    except PapermillExecutionError as error:
        return _cell_failure(source, copy, error)
    except Exception as error:
        message = f"{source.name} could not be run: {type(error).__name__}: {error}"
        if copy.is_file():
            message += f"\nThe copy as far as it got: {copy}"
        return Failure("notebook", message)
    notebook.metadata["cvm_provenance"] = [list(fact) for fact in (provenance or {}).items()]
    nbformat.write(notebook, str(copy))
    return None


def _cell_failure(source: Path, copy: Path, error: Exception) -> Failure:
    """Tell in which cell which exception came; a `CvmError` speaks for itself, another names the line it came from."""
    name, message = error.ename, _COLOUR.sub("", error.evalue).strip()
    where = f"{source.name}, cell {_cell_number(source, error)} ({_first_code_line(error.source)})"
    text = f"{where}: {message}" if _is_ours(name) else f"{where}: {name}: {message}"
    return Failure(KINDS.get(name, "notebook"), f"{text}\nThe executed copy with all details: {copy}")


def _cell_number(source: Path, error: Exception) -> int:
    """Return the number of the cell in the notebook as written, where no cell of parameters was put in."""
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    return (sources.index(error.source) if error.source in sources else error.cell_index) + 1


def _is_ours(name: str) -> bool:
    from cvmlib import errors

    found = getattr(errors, name, None)
    return isinstance(found, type) and issubclass(found, errors.CvmError)


def _first_code_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines()]
    line = next((line for line in lines if line and not line.startswith("#")), "")
    return line if len(line) <= 60 else line[:59] + "…"


def _own_sockets():  # noqa: ANN202
    """Return the settings of a kernel that is reached through socket files of its own.

    By default all kernels started from one folder share the names of their socket files, and two that start at the same
    moment take each other's.
    """
    from jupyter_core.paths import jupyter_runtime_dir
    from traitlets.config import Config

    ip = str(Path(jupyter_runtime_dir()) / f"k{uuid.uuid4().hex[:10]}")
    kernel = {"transport": "ipc", "ip": ip}
    return Config({"KernelManager": kernel, "AsyncKernelManager": kernel})


@contextlib.contextmanager
def _kernel_environment() -> Iterator[None]:
    """Set what the kernel inherits: bytecode is kept, and compiled code gives the same draws cold and warm."""
    before = dict(os.environ)
    environment.prepare()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "numba__fastmath" not in flags:
        os.environ["PYTENSOR_FLAGS"] = ",".join(part for part in (flags, "numba__fastmath=0") if part)
    os.environ["MPLBACKEND"] = "agg"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    if runtime := os.environ.get("JUPYTER_RUNTIME_DIR"):
        Path(runtime).mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
