"""A headless Chromium, driven over a pair of pipes.

It speaks the DevTools protocol: one JSON object after the other, each ended by a zero
byte. No package is needed for that, and no port is opened.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Message = dict[str, Any]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 20.0
"""How long one answer of the browser may take."""
WIDTH, HEIGHT = 1100, 680

_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # as root it has none; it opens pages that were made here
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-device-scale-factor=1",
    f"--window-size={WIDTH},{HEIGHT}",
    # whatever a page asks of another host fails, network or not
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
# the browser reads from descriptor 3 and writes to 4
_START = 'exec "${@:3}" 3<&"$1" 4>&"$2"'


def executable() -> str:
    """The browser that is installed."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise DashboardError(
        "no browser: chromium is not in PATH; to install on Debian: "
        "sudo apt-get install chromium"
    )


@dataclass
class Page:
    """A tab, and what went wrong in it."""

    browser: Browser
    session: str
    target: str
    problems: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> Message:
        """Asks for something, waits for the answer."""
        return self.browser.call(method, session=self.session, **parameters)

    def open(self, address: str) -> None:
        """Goes somewhere. What is there may still be loading."""
        answer = self.call("Page.navigate", url=address)
        if "errorText" in answer:
            self.problems.append(f"{address}: {answer['errorText']}")

    def evaluate_on_load(self, script: str) -> None:
        """Has a script evaluated in whatever is opened from now on, once loaded."""
        once = f"addEventListener('DOMContentLoaded', function () {{ {script} }});"
        self.call("Page.addScriptToEvaluateOnNewDocument", source=once)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; waits for it, if it is a promise."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            raise DashboardError(f"the browser could not evaluate: {thrown}")
        return answer["result"].get("value")

    def wait(self, condition: str) -> bool:
        """Waits until an expression is true, looked at before each frame is drawn.

        Returns:
            Whether it became true in time.
        """
        return bool(
            self.evaluate(
                f"""new Promise(function (done) {{
                    var last = performance.now() + {SECONDS * 500};
                    function look() {{
                        var now = false;
                        try {{ now = !!({condition}); }} catch (error) {{ }}
                        if (now || performance.now() > last) {{ done(now); }}
                        else {{ requestAnimationFrame(look); }}
                    }}
                    look();
                }})"""
            )
        )

    def move(self, x: float, y: float, button: str = "none") -> None:
        """Moves the mouse."""
        self._mouse("mouseMoved", x, y, button)

    def hover(self, selector: str) -> None:
        """Moves the mouse over the first element that matches."""
        self.move(*self._place_in(selector))

    def click(self, selector: str) -> None:
        """Clicks on the first element that matches."""
        x, y = self._place_in(selector)
        self._mouse("mousePressed", x, y, "left")
        self._mouse("mouseReleased", x, y, "left")

    def drag(self, selector: str, start: float, end: float) -> None:
        """Drags the mouse across an element, between two shares of its width."""
        x, y = self._place_in(selector, start)
        self._mouse("mousePressed", x, y, "left")
        for step in range(1, 6):
            x, y = self._place_in(selector, start + step * (end - start) / 5)
            self._mouse("mouseMoved", x, y, "left")
        self._mouse("mouseReleased", x, y, "left")

    def _mouse(self, kind: str, x: float, y: float, button: str) -> None:
        clicks = 0 if button == "none" else 1
        self.call(
            "Input.dispatchMouseEvent",
            type=kind, x=x, y=y, button=button, clickCount=clicks, buttons=clicks,
        )  # fmt: skip

    def _place_in(self, selector: str, share: float = 0.5) -> tuple[float, float]:
        found = self.evaluate(
            f"""(function () {{
                var element = document.querySelector({json.dumps(selector)});
                if (!element) {{ return null; }}
                element.scrollIntoView({{ block: "center" }});
                var box = element.getClientRects()[0];
                return box ? [box.left + {share} * box.width,
                              box.top + box.height / 2] : null;
            }})()"""
        )
        if found is None:
            raise DashboardError(f"the page shows nothing that matches {selector}")
        return found[0], found[1]

    def size(self, width: int, height: int) -> None:
        """Makes the tab larger or smaller."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def picture(self, path: Path) -> None:
        """Writes a PNG of what is to be seen."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def heard(self, method: str, parameters: Message) -> None:
        """Notes what went wrong."""
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            self.problems.append(f"exception: {thrown.splitlines()[0]}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            said = " ".join(str(a.get("value", a)) for a in parameters["args"])
            self.problems.append(f"console: {said}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.problems.append(f"log: {entry['text']} {entry.get('url', '')}".strip())
        elif method == "Network.requestWillBeSent":
            address = urlsplit(parameters["request"]["url"])
            if address.scheme != "data" and address.hostname != "127.0.0.1":
                self.problems.append(f"asked {address.netloc} for {address.path}")
        elif method == "Network.responseReceived":
            response = parameters["response"]
            if response["status"] >= 400:  # noqa: PLR2004
                self.problems.append(f"status {response['status']}: {response['url']}")
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            self.problems.append(f"a request failed: {parameters['errorText']}")


class Browser:
    """A running browser; `with` ends it and all of its processes."""

    def __init__(self) -> None:
        self._program = executable()
        self._number = 0
        self._answers: dict[int, Message] = {}
        self._pages: dict[str, Page] = {}
        self._buffer = b""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            profile = stack.enter_context(
                tempfile.TemporaryDirectory("-chromium", ignore_cleanup_errors=True)
            )
            its_input, self._to_browser = os.pipe()
            self._from_browser, its_output = os.pipe()
            stack.callback(os.close, self._from_browser)
            stack.callback(os.close, self._to_browser)
            self._process = subprocess.Popen(
                ["bash", "-c", _START, "bash", str(its_input), str(its_output),
                 self._program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
                pass_fds=(its_input, its_output),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            stack.callback(self._end)
            os.close(its_input)
            os.close(its_output)
            self.call("Browser.getVersion")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        """Ends the browser with the processes that it started."""
        with contextlib.suppress(DashboardError, OSError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """An empty tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, session["sessionId"], target)
        self._pages[page.session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        try:
            yield page
        finally:
            del self._pages[page.session]
            self.call("Target.closeTarget", targetId=target)

    def call(self, method: str, session: str | None = None, **params: Any) -> Message:
        """Asks the browser, or one tab of it; waits for the answer."""
        self._number += 1
        number = self._number
        message: Message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._write(json.dumps(message).encode() + b"\0")
        last = time.monotonic() + SECONDS
        while number not in self._answers:
            self._hear(method, last - time.monotonic())
        answer = self._answers.pop(number)
        if "error" in answer:
            raise DashboardError(f"{method}: {answer['error']['message']}")
        result: Message = answer["result"]
        return result

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._to_browser, data) :]
            except BrokenPipeError:
                raise DashboardError("the browser has ended") from None

    def _hear(self, waiting_for: str, seconds: float) -> None:
        """Takes what the browser says next, an answer or news of a tab."""
        ready, _, _ = select.select([self._from_browser], [], [], max(seconds, 0))
        if not ready:
            raise DashboardError(f"the browser did not answer in time: {waiting_for}")
        data = os.read(self._from_browser, 1 << 20)
        if not data:
            raise DashboardError("the browser has ended")
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif page := self._pages.get(message.get("sessionId", "")):
                page.heard(message["method"], message["params"])
