"""Look at a page in headless Chromium: take its picture, and see what it asked of the network and logged.

``python -m tests.browser PAGE.html OUT.png --width 390``
"""

import argparse
import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --force-color-profile=srgb"
    " --remote-debugging-port=0 --remote-allow-origins=* --proxy-server=127.0.0.1:9"
).split()


@dataclass
class Visit:
    """What a page did: addresses it requested beside itself, messages it logged, its widths, and a picture of it."""

    requests: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    view_width: int = 0
    content_width: int = 0
    picture: bytes = b""


def visit(page: Path, width: int = 1280, height: int = 0, script: str = "", media: str = "screen") -> Visit:
    """Open a page at a width (CSS pixels) without a network, run a script in it, and take a picture (height 0: all)."""
    with _chromium() as address:
        return asyncio.run(_visit(address, page.resolve().as_uri(), width, height, script, media))


def visit_all(pages: Iterable[Path], widths: Iterable[int], height: int = 900) -> dict[tuple[Path, int], Visit]:
    """Open pages one after the other in one browser, each at every width, with a picture of the first screen."""
    places = [(page, width) for page in pages for width in widths]
    with _chromium() as address:
        return {
            (page, width): asyncio.run(_visit(address, page.resolve().as_uri(), width, height, "", "screen"))
            for page, width in places
        }


async def _visit(address: str, url: str, width: int, height: int, script: str, media: str) -> Visit:
    from tornado.websocket import websocket_connect

    connection = await websocket_connect(address, max_message_size=2**28)
    seen, answers, number = Visit(), {}, 0

    async def ask(method: str, **params: object) -> dict:
        nonlocal number
        number += 1
        mine = number
        await connection.write_message(json.dumps({"id": mine, "method": method, "params": params}))
        while mine not in answers:
            await read()
        return answers.pop(mine)

    async def read() -> str:
        message = json.loads(await asyncio.wait_for(connection.read_message(), 60))
        if "id" in message:
            answers[message["id"]] = message.get("result", message)
        _note(seen, message, url)
        return message.get("method", "")

    for domain in ("Page", "Network", "Log", "Runtime"):
        await ask(f"{domain}.enable")
    size = {"width": width, "height": height or 900, "deviceScaleFactor": 1, "mobile": width < 600}
    await ask("Emulation.setDeviceMetricsOverride", **size)
    await ask("Emulation.setScrollbarsHidden", hidden=True)
    await ask("Emulation.setEmulatedMedia", media=media)
    await ask("Page.navigate", url=url)
    while await read() != "Page.loadEventFired":
        pass
    if script:
        await ask("Runtime.evaluate", expression=script)
    await asyncio.sleep(0.3)
    metrics = await ask("Page.getLayoutMetrics")
    seen.view_width = round(metrics["cssLayoutViewport"]["clientWidth"])
    seen.content_width = round(metrics["cssContentSize"]["width"])
    tall = height or min(round(metrics["cssContentSize"]["height"]), 16000)
    clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
    shot = await ask("Page.captureScreenshot", format="png", captureBeyondViewport=not height, clip=clip)
    seen.picture = base64.b64decode(shot["data"])
    connection.close()
    while await connection.read_message() is not None:  # until the browser has closed it too
        pass
    return seen


def _note(seen: Visit, message: dict, url: str) -> None:
    params = message.get("params", {})
    match message.get("method"):
        case "Network.requestWillBeSent":
            address = params["request"]["url"]
            if address.split("#")[0] != url and not address.startswith("data:"):
                seen.requests.append(address)
        case "Log.entryAdded":
            seen.logs.append(params["entry"]["text"])
        case "Runtime.consoleAPICalled":
            seen.logs.append(str([argument.get("value") for argument in params["args"]]))
        case "Runtime.exceptionThrown":
            seen.logs.append(params["exceptionDetails"]["text"])


@contextlib.contextmanager
def _chromium() -> Iterator[str]:
    """Start a browser with a profile of its own and yield the address of its only page."""
    if CHROMIUM is None:
        raise RuntimeError("No Chromium was found: install it (Debian: apt-get install chromium fonts-stix).")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _page_address(Path(folder) / "DevToolsActivePort", process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _page_address(port_file: Path, process: subprocess.Popen) -> str:
    from urllib.request import urlopen

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            port = int(port_file.read_text().split()[0])
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                return next(tab for tab in json.load(answer) if tab["type"] == "page")["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise RuntimeError("Chromium did not start.")


def main() -> None:
    """Take a picture of a page from the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280, help="CSS pixels (390 is a phone)")
    parser.add_argument("--height", type=int, default=0, help="CSS pixels; 0 takes the whole page")
    parser.add_argument("--print", action="store_true", help="as on paper (A4 is 673 pixels wide within its margins)")
    arguments = parser.parse_args()
    media = "print" if arguments.print else "screen"
    seen = visit(arguments.page, arguments.width, arguments.height, media=media)
    arguments.picture.write_bytes(seen.picture)
    problems = [*seen.requests, *seen.logs]
    if seen.content_width > seen.view_width:
        problems.append(f"the page scrolls sideways: {seen.content_width} pixels in {seen.view_width}")
    raise SystemExit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
