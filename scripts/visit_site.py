"""Opens every page of the built site in Chromium, and says what the pages asked other hosts for.

It also searches for a word, and plays the first piece of the gallery.

python -m scripts.visit_site docs/_build/html

Without Chromium it says so and succeeds; in CI, which installs one, that is an error.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
_LOOKED_FOR = "forecast"
_PATIENCE = 60.0  # seconds; only a failure waits so long


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def main(folder: str) -> int:
    """Visits the site in a folder; returns the exit code."""
    pages = sorted(str(x.relative_to(folder)) for x in Path(folder).rglob("*.html"))
    size = sum(x.stat().st_size for x in Path(folder).rglob("*") if x.is_file())
    print(f"{len(pages)} pages, {size / 1e6:.1f} MB")
    if not (_browser() and shutil.which("chromedriver")):
        print("no chromium and chromedriver: requests to other hosts are not measured")
        return int(bool(os.environ.get("CI")))
    with _served(folder) as url, _opened() as browser:
        for page in pages:
            browser.get(f"{url}/{page}")
        found, played = _search(browser, url), _play(browser, url)
        asked, errors = _outside(browser, url), _errors(browser)
    print(f"{len(asked)} requests to other hosts, {len(errors)} errors of scripts")
    print(f"the search for {_LOOKED_FOR!r} finds {found} pages")
    print(f"the gallery {'plays' if played else 'does not play'}")
    for what in (*asked, *errors):
        print(f"  {what}")
    return int(bool(asked or errors or not found or not played))


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


@contextlib.contextmanager
def _served(folder: str) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def _opened() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = _browser() or ""
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def _search(browser: Any, url: str) -> int:
    """Returns the number of pages that the search finds."""
    browser.get(f"{url}/search.html?q={_LOOKED_FOR}")
    found = _wait(
        browser, "document.querySelector('.search-summary')?.innerText", r"found (\d+) page"
    )
    return int(found[1]) if found else 0


def _play(browser: Any, url: str) -> bool:
    """Returns whether a press of a key plays music, whose position moves from 0."""
    browser.get(f"{url}/gallery.html")
    browser.execute_script("document.querySelector('.music button').focus()")
    browser.switch_to.active_element.send_keys("\ue007")  # Enter
    position = "document.querySelector('.music .head')?.getAttribute('d')"
    return bool(_wait(browser, position, r"M(?!0 )[\d.]+ "))


def _wait(browser: Any, value: str, pattern: str) -> re.Match[str] | None:
    """Waits until the value of a JavaScript expression has a pattern; returns the match."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if found := re.search(pattern, browser.execute_script(f"return {value}") or ""):
            return found
        time.sleep(0.2)
    return None


def _outside(browser: Any, url: str) -> list[str]:
    """Returns the addresses of other hosts that pages asked for."""
    events = (json.loads(x["message"])["message"] for x in browser.get_log("performance"))
    asked = [x["params"]["request"]["url"] for x in events if x["method"].endswith("WillBeSent")]
    return sorted({x for x in asked if not x.startswith((url, "data:", "blob:", "chrome:"))})


def _errors(browser: Any) -> list[str]:
    return [x["message"] for x in browser.get_log("browser") if x["level"] == "SEVERE"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
