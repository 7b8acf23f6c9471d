"""Headless Chromium against the live server. Rows are written before the browser starts.

Playwright's loop runs in the test's thread, where Django then refuses database calls: so the
`browse` fixture comes last, and only the server's threads ask the database while it is open.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str:
    """The system's Chromium. Without one: fail where CI=true, else skip and say so."""
    found = os.environ.get("KPAY_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    reason = (
        "NO BROWSER TEST RAN: Chromium is not installed. On Debian: apt-get install chromium "
        "fonts-noto-cjk; elsewhere set KPAY_CHROMIUM to its path."
    )
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Visit:
    """An open page, and what it did that it should not have."""

    page: Any
    base: str
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Go there, wait until nothing loads any more; returns the page."""
        answer = self.page.goto(self.base + path, wait_until="networkidle")
        assert answer is not None
        assert answer.status == 200, path
        return self.page

    def follow(self, selector: str) -> None:
        """Click what leads to another page, wait until nothing loads there any more."""
        with self.page.expect_navigation(wait_until="networkidle"):
            self.page.click(selector)

    def picture(self, name: str) -> None:
        """Save a screenshot when KPAY_SCREENSHOTS names a folder."""
        folder = os.environ.get("KPAY_SCREENSHOTS")
        if folder:
            height = self.page.evaluate("document.documentElement.scrollHeight")
            self.page.set_viewport_size({"width": 1440, "height": min(height, 3000)})
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

    def assert_clean(self) -> None:
        """Nothing was asked of another host, nothing was logged as an error."""
        assert self.foreign == []
        assert self.errors == []

    def watch(self) -> None:
        self.page.on("request", lambda request: self._saw(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("response", self._answered)

    def _saw(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.foreign.append(url)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")


@pytest.fixture
def browse(live_server: Any) -> Iterator[Callable[..., Visit]]:
    """`browse()` opens an empty page; `browse(cookie=…)` one that is signed in already."""
    executable = chromium_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)

        def visit(cookie: str = "") -> Visit:
            context = browser.new_context(
                viewport={"width": 1440, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai"
            )
            if cookie:
                context.add_cookies(
                    [{"name": "sessionid", "value": cookie, "url": live_server.url}]
                )
            visited = Visit(page=context.new_page(), base=live_server.url)
            visited.watch()
            return visited

        yield visit
        browser.close()
