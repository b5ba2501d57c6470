"""Where the tools keep their caches and settings: inside the checkout, however Python was started.

`make env` lets every Python of the virtual environment call `prepare` at its start, so that ``make``,
``.venv/bin/cvm``, JupyterLab and the kernels it starts all see the same settings. A variable that is already set is
left as it is.
"""

import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

# A socket's path must not exceed 107 bytes; a kernel's are "kernel-<36 characters>-ipc-<n>" in the runtime folder.
_LONGEST_RUNTIME_FOLDER = 107 - len("/kernel-") - 36 - len("-ipc-00")


def checkout() -> Path | None:
    """Return the folder of the checkout that this package runs from; None when it was installed without one."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def settings(root: Path) -> dict[str, str]:
    """Return the environment variables that keep caches and settings of all tools under `root`.

    Parameters
    ----------
    root : Path
        Folder of the checkout, absolute.

    Returns
    -------
    dict of str to str
        Name and value. ``numba__fastmath=0`` makes draws equal whether the compilation cache is cold or warm.
    """
    cache = root / ".cache"
    return {
        "XDG_CACHE_HOME": str(cache),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "OPENBLAS_NUM_THREADS": "1",  # the matrices here are small, and sums do not depend on the number of cores
        "PYTENSOR_FLAGS": f"base_compiledir={cache / 'pytensor'},numba__fastmath=0",
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_CONFIG_DIR": str(cache / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(cache / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(_runtime_folder(cache)),
        "JUPYTERLAB_SETTINGS_DIR": str(cache / "jupyter" / "lab" / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(cache / "jupyter" / "lab" / "workspaces"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "NPM_CONFIG_CACHE": str(cache / "npm"),  # JupyterLab asks npm where its language servers are
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def prepare() -> None:
    """Set what `settings` names, where it is not set yet, and let Python keep the bytecode of what it imports."""
    root = checkout()
    if root is None:
        return
    for name, value in settings(root).items():
        os.environ.setdefault(name, value)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def _runtime_folder(cache: Path) -> Path:
    """Where Jupyter keeps the sockets of running kernels; outside the checkout only when its path is too long."""
    folder = cache / "run"
    if len(os.fsencode(folder)) <= _LONGEST_RUNTIME_FOLDER:
        return folder
    name = f"cvmlib-{os.getuid()}-{sha256(os.fsencode(folder)).hexdigest()[:8]}"
    return Path(tempfile.gettempdir()) / name
