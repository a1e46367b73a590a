"""Measures the studio of a run: the time from a request to its answer, its memory, and its page.

    python -m benchmarks.speed.studio --log-dir runs/melodies

The requests go to the WSGI application, without a socket and a browser. The yardstick is the
decoding of one melody alone. Also sends 50 requests at once, sums the size of the page, and opens
it in a headless Chromium with an empty cache, if there is one.
"""

import argparse
import collections
import contextlib
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

from benchmarks.random_requests import TOKEN, resident_bytes
from benchmarks.timing import medians, print_table
from tests.examples.midi.studio.browser import Page, open_browser
from vaeseq.examples.midi.studio.app import create_app

BAR = 16
DRAWING = {"temperature": 0.7, "seed": 5}
AT_ONCE = 50


def post(client, name, **fields):
    """Returns the status and the answer of a request."""
    headers = {"X-Token": TOKEN}
    response = client.post(f"/api/{name}", json=fields, headers=headers)
    return response.status_code, response.get_json()


def requests_of(client, can, bars):
    """Returns a function for each request that a run supports, with pieces of some bars."""
    some = {"frames": bars * BAR, **DRAWING}
    piece = post(client, "draw", count=1, **some)[1]["pieces"][0]
    corners = [{"seed": 1}, {"piece": piece}, {"seed": 3}, {"piece": piece}]
    fields = {
        "draw": {"count": 1, **some},
        "pad": {"corners": corners, **some},
        "line": {"start": {"seed": 1}, "end": {"piece": piece}, "steps": 16, **some},
        "shape": {"source": {"piece": piece}, **some},
        "continue": {"piece": piece, **some},
        "like": {"piece": piece, "amount": 0.3, "count": 4, **DRAWING},
        "fill": {"piece": piece, "locked": [0, bars - 1], **DRAWING},
    }
    return {
        name: lambda name=name, given=given: post(client, name, **given)
        for name, given in fields.items()
        if name in can
    }


def print_requests(client, can, bars, rounds):
    """Prints the time and the size of each answer."""
    requests = requests_of(client, can, bars)
    seconds = medians(requests, rounds)
    sizes = {name: len(json.dumps(call()[1])) for name, call in requests.items()}
    unit = seconds["draw"]
    rows = [
        [name, f"{s:.3f}", f"{s / unit:.1f}", f"{sizes[name] / 1000:.1f}"]
        for name, s in seconds.items()
    ]
    print_table([f"request, {bars} bars", "s", "x draw", "kB"], rows)
    print()


def at_once(client):
    """Sends draws at once; returns how many were answered, refused or wrong."""

    def ask(seed):
        return post(client, "draw", count=1, frames=4 * BAR, **DRAWING | {"seed": seed})

    alone = [ask(seed) for seed in range(5)]

    def judge(number):
        answer = ask(number % 5)
        if answer[0] == 503:
            return "told to try again"
        return "right" if answer == alone[number % 5] else "wrong"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return collections.Counter(pool.map(judge, range(AT_ONCE)))


class _Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


@contextlib.contextmanager
def served(app):
    """Serves a studio; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/?token={app.token}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# What the browser itself measured since it left for the page, in ms and bytes.
_OPENED = """
const paints = performance.getEntriesByType('paint').map((x) => [x.name, x.startTime]);
const loaded = performance.getEntriesByType('resource');
const kept = loaded.filter((x) => !x.name.endsWith('.sf2') && !x.name.includes('/api/'));
const [page] = performance.getEntriesByType('navigation');
const bytes = [page, ...kept].reduce((sum, x) => sum + x.transferSize, 0);
return {...Object.fromEntries(paints), bytes};
"""
_WHEN_PAD = (
    "globalThis.padAt ??= globalThis.studio?.answers.lane('pad').answer && performance.now();"
    "return globalThis.padAt"
)


def open_page(address, rounds):
    """Opens the page in a browser; returns the medians of what is measured."""
    with tempfile.TemporaryDirectory() as folder, open_browser(folder) as browser:
        page, opened = Page(browser, address, folder), []
        for _ in range(1 + rounds):
            browser.execute_cdp_cmd("Network.clearBrowserCache", {})
            browser.get("about:blank")
            browser.get(address)
            shown = page.wait(_WHEN_PAD)
            page.wait()
            opened.append(page.run(_OPENED) | {"pad": shown})
    return {name: statistics.median(x[name] for x in opened[1:]) for name in opened[0]}


def page_figures(app, rounds):
    """Returns what is measured of the page, in words."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return {"the page in a browser": "not measured: no chromium, chromedriver"}
    with served(app) as address:
        seen = open_page(address, rounds)
    return {
        "first paint, s": f"{seen['first-paint'] / 1000:.2f}",
        "first contentful paint, s": f"{seen['first-contentful-paint'] / 1000:.2f}",
        "to the pad with its melodies, s": f"{seen['pad'] / 1000:.2f}",
        "loaded (without the SoundFont), kB": f"{seen['bytes'] / 1000:.0f}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log-dir", required=True, help="a run of vaeseq-midi")
    parser.add_argument("--bars", type=int, nargs="+", default=[4, 16], help="lengths of pieces")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each request")
    args = parser.parse_args()
    start = time.perf_counter()
    app = create_app(args.log_dir, TOKEN)
    client = Client(app)
    opened = time.perf_counter() - start
    post(client, "draw", count=1, frames=4 * BAR, **DRAWING)
    first = time.perf_counter() - start
    while not post(client, "info")[1]["ready"]:
        time.sleep(0.1)
    ready, idle = time.perf_counter() - start, resident_bytes()
    can = post(client, "info")[1]["can"]
    for bars in args.bars:
        print_requests(client, can, bars, args.rounds)
    static = files("vaeseq.examples.midi.studio").joinpath("static").iterdir()
    figures = {
        "open (without the import of TensorFlow), s": f"{opened:.1f}",
        "to the first melody, s": f"{first:.1f}",
        "until sliders and dials are measured, s": f"{ready:.1f}",
        "memory when idle, MB": f"{idle / 1e6:.0f}",
        "memory after all requests, MB": f"{resident_bytes() / 1e6:.0f}",
        f"{AT_ONCE} requests at once": str(dict(at_once(client))),
        "the page's files, kB": f"{sum(len(file.read_bytes()) for file in static) / 1000:.0f}",
        **page_figures(app, args.rounds),
    }
    print_table(["studio", ""], [list(row) for row in figures.items()])
    app.close()


if __name__ == "__main__":
    main()
