"""Kernels that start as copies of a process which has already imported what they use (`kernel_server`).

On Linux only: elsewhere forking is not safe with the system's libraries, and a kernel starts as usual. So it does when
its kernel specification names another Python, or when the server has died.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

#: Beginnings of the names of variables that differ from kernel to kernel and that nothing reads when it is imported.
_OWN = ("JPY_", "PYTEST_")
_LAUNCHER = ["-m", "ipykernel_launcher"]


class WarmKernel:
    """A kernel forked by a server, as far as `subprocess.Popen` is needed of it."""

    stdin = stdout = stderr = None

    def __init__(self, server: "KernelServer", pid: int) -> None:
        self._server, self.pid, self.returncode = server, pid, None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid)
        return self.returncode

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        while self.poll() is None:
            time.sleep(0.05)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class KernelServer:
    """The process that kernels are copies of."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cvmlib.reporting.kernel_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"MPLBACKEND": "agg", **env},
            start_new_session=True,
        )
        self._rest = b""
        self._started: list[int] = []
        self._ended: dict[int, int] = {}
        Finalize(self, KernelServer.close, args=(self._process,), exitpriority=0)  # at the end of pool workers too

    @property
    def alive(self) -> bool:
        """Whether it can start kernels."""
        return self._process.poll() is None

    def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> WarmKernel:
        """Start a kernel.

        Raises
        ------
        OSError
            The server has died.
        """
        line = json.dumps({"argv": list(argv), "env": dict(env), "cwd": cwd})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        while not self._started:
            self.listen(1.0)
        return WarmKernel(self, self._started.pop())

    def listen(self, seconds: float) -> None:
        """Take the server's answers, waiting for the first one no longer than `seconds`.

        Raises
        ------
        OSError
            The server has died.
        """
        source = self._process.stdout.fileno()
        while select.select([source], [], [], seconds)[0]:
            received = os.read(source, 1 << 16)
            if not received:
                self._process.wait()
                raise BrokenPipeError("the server of kernels has ended")
            *lines, self._rest = (self._rest + received).split(b"\n")
            for answer in map(json.loads, lines):
                if "pid" in answer:
                    self._ended.pop(answer["pid"], None)  # of an earlier kernel whose number has come round again
                    self._started.append(answer["pid"])
                else:
                    self._ended[answer["ended"]] = answer["code"]
            seconds = 0.0

    def exit_code(self, pid: int) -> int | None:
        """Return the exit code of a kernel; -9 when it died with the server, None while it runs."""
        try:
            self.listen(0.0)
        except OSError:
            return -signal.SIGKILL
        return self._ended.get(pid)

    @staticmethod
    def close(process: subprocess.Popen) -> None:
        """End a server, and wait for it; kernels that still run end by themselves when their parent is gone."""
        process.stdin.close()
        process.stdout.close()
        process.wait()


_servers: dict[tuple[tuple[str, str], ...], KernelServer] = {}


def _server(env: Mapping[str, str]) -> KernelServer:
    """Return the server of an environment, whose settings are read when modules are imported."""
    key = tuple(sorted((name, value) for name, value in env.items() if not name.startswith(_OWN)))
    if key not in _servers or not _servers[key].alive:
        _servers[key] = KernelServer(env)
    return _servers[key]


class WarmProvisioner(LocalProvisioner):
    """Provides kernels as copies of a process that has imported what they use, where that can be done."""

    async def launch_kernel(self, cmd: list[str], **kwargs: object) -> dict[str, Any]:
        """Launch a kernel."""
        env = kwargs.get("env") or dict(os.environ)
        arguments = _arguments(cmd) if sys.platform == "linux" else None
        folder = str(kwargs.get("cwd") or Path.cwd())
        for _ in range(2 if arguments is not None else 0):  # the server may have died meanwhile
            with contextlib.suppress(OSError):
                self.process = _server(env).start(arguments, env, folder)
                break
        if self.process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info


def _arguments(command: Sequence[str]) -> list[str] | None:
    """Return the arguments of the IPython kernel that a command starts with this Python; None for another kernel."""
    python, *rest = command
    while rest and rest[0].startswith("-X"):
        rest = rest[1:]
    ours = Path(python).absolute().parent == Path(sys.executable).absolute().parent
    return rest[2:] if ours and rest[:2] == _LAUNCHER else None


class WarmKernelManager(AsyncKernelManager):
    """Manages a kernel of a `WarmProvisioner`."""

    async def _async_pre_start_kernel(self, **kwargs: object) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None:
            self.provisioner = WarmProvisioner(
                kernel_id=self.kernel_id or "", kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**kwargs)
