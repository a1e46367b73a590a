"""Measures the studio of a run: the time from a request to its answer, and its memory.

    python -m benchmarks.speed.studio --log-dir runs/melodies

The requests go to the WSGI application, without a socket and a browser. The yardstick is the
decoding of one melody alone. Also sends 50 requests at once, and sums the size of the page.
"""

import argparse
import collections
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from werkzeug.test import Client

from benchmarks.random_requests import TOKEN, resident_bytes
from benchmarks.timing import medians, print_table
from vaeseq.examples.midi.studio.app import create_app

BARS, BAR = 4, 16
SOME = {"frames": BARS * BAR, "temperature": 0.7, "seed": 5}
AT_ONCE = 50


def post(client, name, **fields):
    """Returns the status and the answer of a request."""
    headers = {"X-Token": TOKEN}
    response = client.post(f"/api/{name}", json=fields, headers=headers)
    return response.status_code, response.get_json()


def requests_of(client, can):
    """Returns a function for each request that a run supports."""
    piece = post(client, "draw", count=1, **SOME)[1]["pieces"][0]
    drawing = {name: SOME[name] for name in ("temperature", "seed")}
    corners = [{"seed": 1}, {"piece": piece}, {"seed": 3}, {"piece": piece}]
    fields = {
        "draw": {"count": 1, **SOME},
        "pad": {"corners": corners, **SOME},
        "line": {"start": {"seed": 1}, "end": {"piece": piece}, "steps": 16, **SOME},
        "shape": {"source": {"piece": piece}, **SOME},
        "continue": {"piece": piece, **SOME},
        "like": {"piece": piece, "amount": 0.3, "count": 4, **drawing},
        "fill": {"piece": piece, "locked": [0, 3], **drawing},
    }
    return {
        name: lambda name=name, given=given: post(client, name, **given)
        for name, given in fields.items()
        if name in can
    }


def at_once(client):
    """Sends draws at once; returns how many were answered, refused or wrong."""
    alone = [post(client, "draw", **SOME | {"seed": i, "count": 1}) for i in range(5)]

    def ask(number):
        answer = post(client, "draw", **SOME | {"seed": number % 5, "count": 1})
        if answer[0] == 503:
            return "told to try again"
        return "right" if answer == alone[number % 5] else "wrong"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return collections.Counter(pool.map(ask, range(AT_ONCE)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log-dir", required=True, help="a run of vaeseq-midi")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each request")
    args = parser.parse_args()
    start = time.perf_counter()
    app = create_app(args.log_dir, TOKEN)
    client = Client(app)
    opened = time.perf_counter() - start
    post(client, "draw", count=1, **SOME)
    first = time.perf_counter() - start
    while not post(client, "info")[1]["ready"]:
        time.sleep(0.1)
    ready, idle = time.perf_counter() - start, resident_bytes()
    requests = requests_of(client, post(client, "info")[1]["can"])
    seconds = medians(requests, args.rounds)
    sizes = {name: len(json.dumps(call()[1])) for name, call in requests.items()}
    unit = seconds["draw"]
    rows = [
        [name, f"{s:.3f}", f"{s / unit:.1f}", f"{sizes[name] / 1000:.1f}"]
        for name, s in seconds.items()
    ]
    print_table([f"request, {BARS} bars", "s", "x draw", "kB"], rows)
    print()
    static = files("vaeseq.examples.midi.studio").joinpath("static").iterdir()
    page = sum(len(file.read_bytes()) for file in static)
    figures = {
        "open (without the import of TensorFlow), s": f"{opened:.1f}",
        "to the first melody, s": f"{first:.1f}",
        "until sliders and dials are measured, s": f"{ready:.1f}",
        "memory when idle, MB": f"{idle / 1e6:.0f}",
        "memory after all requests, MB": f"{resident_bytes() / 1e6:.0f}",
        f"{AT_ONCE} requests at once": str(dict(at_once(client))),
        "the page's files, kB": f"{page / 1000:.0f}",
    }
    print_table(["studio", ""], [list(row) for row in figures.items()])
    app.close()


if __name__ == "__main__":
    main()
