"""A real browser that a person's hands drive, and what it saw: requests, errors, pictures."""

import base64
import contextlib
import json
import os
import shutil
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--mute-audio",
    "--window-size=1400,1300",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE = 120  # seconds; only a failure waits so long
_AT_REST = (
    "const lanes = ['pad', 'line', 'tiles'];"
    "return !!globalThis.studio?.piece() && !studio.busy"
    " && lanes.every((name) => !studio.answers.lane(name).waiting)"
)


@contextlib.contextmanager
def open_browser(downloads):
    """Opens a browser that saves files in a folder.

    Where there is none, the tests are skipped; in CI, which installs one, they fail.
    """
    binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        missing = "the page of the studio is tested in chromium: install chromium, chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in _FLAGS:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(_PATIENCE)
    try:
        yield browser
    finally:
        browser.quit()


class Page:
    """The page of a studio in a browser.

    Args:
      browser: the browser.
      address: that of the server, with the token.
      downloads: the folder in which the browser saves.
    """

    def __init__(self, browser, address, downloads):
        self.browser, self.address, self.downloads = browser, address, downloads

    def open(self, fragment=""):
        """Opens a session as a new page, and waits until all is there."""
        self.browser.get("about:blank")
        self.browser.get(self.address + (f"#{fragment}" if fragment else ""))
        self.wait()
        return self

    def run(self, script, *values):
        """Returns what a script returns."""
        return self.browser.execute_script(script, *values)

    def module(self, name, body, *values):
        """Returns what a function body returns in which `m` is a module of the page."""
        script = (
            "const values = [...arguments]; const done = values.pop();"
            f"import('/static/{name}.js')"
            f".then(async (m) => {{ {body} }})"
            ".then((value) => done({value}), (error) => done({error: String(error)}));"
        )
        answer = self.browser.execute_async_script(script, *values)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def wait(self, condition=_AT_REST):
        """Waits until a script returns something true; returns that."""
        end = time.monotonic() + _PATIENCE
        while not (value := self.run(condition)):
            assert time.monotonic() < end, f"never: {condition}; {self.words}"
            time.sleep(0.02)
        return value

    def element(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def elements(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector):
        """Clicks in the middle of an element, and waits for what follows."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.element(selector).click()
        self.wait()

    def type(self, selector, text):
        """Types a value into a field."""
        self.element(selector).send_keys(Keys.CONTROL, "a", Keys.NULL, text, Keys.TAB)
        self.wait()

    def press(self, selector, *keys):
        """Presses keys while an element has the focus."""
        self.run("document.querySelector(arguments[0]).focus()", selector)
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)
        self.wait()

    def drag(self, selector, *shares):
        """Drags over an element from place to place, as shares of its width and height."""
        element = self.element(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        width, height = element.size["width"], element.size["height"]
        actions = ActionChains(self.browser, duration=10)
        for index, (x, y) in enumerate(shares):
            offset = round((x - 0.5) * width), round((y - 0.5) * height)
            actions.move_to_element_with_offset(element, *offset)
            if index == 0:
                actions.click_and_hold()
        actions.release().perform()
        self.wait()

    def choose(self, selector, path):
        """Presses a button that asks for a file, and chooses one."""
        self.click(selector)
        self.element("#file").send_keys(str(path))

    def saved(self, suffix):
        """Waits for the next saved file and returns its content."""
        end = time.monotonic() + _PATIENCE
        while not (paths := list(self.downloads.glob(f"*{suffix}"))):
            assert time.monotonic() < end, f"no {suffix} was saved; {self.words}"
            time.sleep(0.02)
        content = paths[0].read_bytes()
        paths[0].unlink()
        return content

    @property
    def state(self):
        return self.run("return studio.state")

    @property
    def piece(self):
        """The piece in the roll."""
        return self.run("return studio.piece()")

    @property
    def words(self):
        """What the page says now."""
        return self.run("return document.querySelector('#status').textContent")

    def errors(self):
        """Returns what the console had to say against the page since the last call."""
        return [x["message"] for x in self.browser.get_log("browser") if x["level"] != "INFO"]

    def traffic(self):
        """Returns the requests since the last call: addresses, and those that failed."""
        seen, failed = {}, []
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            name, content = message["method"], message["params"]
            if name == "Network.requestWillBeSent":
                seen[content["requestId"]] = content["request"]["url"]
            elif name == "Network.responseReceived" and content["response"]["status"] >= 400:
                failed.append((content["response"]["url"], content["response"]["status"]))
            elif name == "Network.loadingFailed" and not content.get("canceled"):
                failed.append((seen.get(content["requestId"]), content["errorText"]))
        return list(seen.values()), failed

    def outside(self, addresses):
        """Returns the addresses that are not the server's."""
        home = urlsplit(self.address).netloc
        inside = ("data", "blob", "about", "chrome")
        parts = map(urlsplit, addresses)
        return [x.geturl() for x in parts if x.netloc != home and x.scheme not in inside]

    def resize(self, width, height, scheme="light"):
        """Makes the window another one; `scheme` is light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def as_array(text):
    """Returns samples that a script gave as base 64."""
    return np.frombuffer(base64.b64decode(text), np.float32)
