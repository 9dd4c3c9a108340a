"""A headless Chromium driven over its DevTools pipe, with nothing but the standard library.

Owns one browser process, started and ended here. The pipe (`--remote-debugging-pipe`) needs no
port, no driver program and no package: messages are JSON, each ended by a zero byte, written to the
browser's file descriptor 3 and read from its 4.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INSTALL = "apt-get install -y chromium"
_WAIT_SECONDS = 30.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def executable() -> str | None:
    """Where Chromium is, None where it is not."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Page:
    """One page at one width and colour scheme."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command to this page and wait for its answer."""
        return self._browser.call(method, parameters, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        made = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in made, made["exceptionDetails"]
        return made["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=path.as_uri())
        self._browser.wait_for("Page.loadEventFired")

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        made = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(made["data"]))

    def events(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser has told of these kinds so far."""
        return [each["params"] for each in self._browser.told if each["method"] in methods]


class Browser:
    """One Chromium process; `close` ends it."""

    def __init__(self, program: str, profile: str) -> None:
        read_theirs, self._write = os.pipe()
        self._read, write_theirs = os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read_theirs, write_theirs)]
        null = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program,
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            dict(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
                (os.POSIX_SPAWN_DUP2, theirs[0], 3),
                (os.POSIX_SPAWN_DUP2, theirs[1], 4),
            ],
        )
        for fd in (read_theirs, write_theirs, *theirs, null):
            os.close(fd)
        self._buffer = b""
        self._last = 0
        self.told: list[dict[str, Any]] = []

    def page(self, width: int, *, dark: bool) -> Page:
        """A new blank page."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attach = {"targetId": target, "flatten": True}
        page = Page(self, self.call("Target.attachToTarget", attach)["sessionId"])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1}
        page.call("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        self.told.clear()
        return page

    def call(
        self, method: str, parameters: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come meanwhile are kept."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            came = self._next()
            if came.get("id") == self._last:
                assert "error" not in came, came["error"]
                answer: dict[str, Any] = came["result"]
                return answer

    def wait_for(self, event: str) -> None:
        """Wait until that event was told."""
        while not any(each["method"] == event for each in self.told):
            self._next()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], _WAIT_SECONDS)
            assert ready, f"Chromium was silent for {_WAIT_SECONDS} s"
            came = os.read(self._read, 1 << 20)
            assert came, "Chromium ended"
            self._buffer += came
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.told.append(message)
        return message

    def close(self) -> None:
        """Ask it to end and wait until it has."""
        with contextlib.suppress(OSError, AssertionError):  # it may be gone already
            self.call("Browser.close", {})
        os.close(self._write)
        os.waitpid(self._pid, 0)
        os.close(self._read)


@contextlib.contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A browser with a profile of its own, both gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        made = Browser(program, profile)
        try:
            yield made
        finally:
            made.close()
