"""Sends random and mutated requests to the studio of a run, and watches its memory.

    python -m benchmarks.random_requests --log-dir runs/melodies

Each answer must be right or refused in a sentence, never an error of the server. Ten times, all
right requests are sent again: their answers must be those of the beginning. There is no socket: the
requests go to the WSGI application. The memory of the process must not grow once all kinds of
requests have been answered.
"""

import argparse
import collections
import copy
import itertools
import json
import os
import random
import time
from collections.abc import Collection, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from werkzeug.test import Client, EnvironBuilder

from vaeseq.examples.midi.studio.app import create_app

TOKEN = "secret"
_PIECE = {"frames": 24, "notes": [[0, 4, 60], [4, 4, 64], [8, 12, 67]]}
_SOURCE, _SEED = {"piece": _PIECE}, {"seed": 7}
_DRAWING = {"temperature": 0.8, "seed": 3}
_SHAPING = {"frames": 20, **_DRAWING, "sliders": {"pitch": 0.5}}
RIGHT = {
    "info": {},
    "draw": {"count": 2, "frames": 20, **_DRAWING},
    "pad": {"corners": [_SEED, _SOURCE, _SEED, _SOURCE], **_SHAPING},
    "line": {"start": _SEED, "end": _SOURCE, "steps": 3, **_SHAPING},
    "continue": {"piece": _PIECE, "frames": 8, **_DRAWING},
    "like": {"piece": _PIECE, "amount": 0.4, "count": 2, **_DRAWING},
    "fill": {"piece": _PIECE, "locked": [1], **_DRAWING},
    "shape": {"source": _SOURCE, **_SHAPING},
    "download": {"kind": "mid", "pieces": [_PIECE], "tempo": 90, "transpose": 2, "program": 5},
    "attributes": {"piece": _PIECE},
}
_STRANGE = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e-300, 1e300, -1e300, 2**31, 10**40, 1023, 1024),
    *("", "seed", "\ud800", "\0", "x" * 1000, [], [[]], [0] * 50, {}, {"": {}}, {"seed": 1}),
    *([[0, 1, 60]], [[0, 1]], [[-1, 1, 60]], [[0, 1, 128]], {"frames": 4, "notes": []}),
    *({"piece": {"frames": 1, "notes": []}}, [[[[[[]]]]]], "NaN", "9" * 400, "mid", "wav", "png"),
]
_METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH")
_PATHS = ("/", "/api/", "/api/nothing", "/static/", "/static/../app.py", "/static/%00", "//", "/a")
_FILES, _SCORES = ("a.mid", "%ff.mid", "../a.midi", ""), ("a.xml", "a.mxl")
_HEADERS = (
    ("Host", "evil.example"),
    ("Origin", "null"),
    ("X-Token", "wrong"),
    ("Content-Length", "-1"),
    ("Content-Length", "99999999999"),
    ("Content-Type", "multipart/form-data; boundary=x"),
    ("Content-Encoding", "gzip"),
    ("Transfer-Encoding", "chunked"),
)


def random_environs(seed: int) -> Iterator[dict]:
    """Yields WSGI environments without end."""
    rng = random.Random(seed)
    while True:
        name = rng.choice([*RIGHT, "upload"])
        path, method, headers = f"/api/{name}", "POST", {"X-Token": TOKEN}
        body = _upload(rng) if name == "upload" else _body(rng, RIGHT[name])
        if name == "upload":
            # Few scores, because each is read in a process of its own.
            names = _SCORES if rng.random() < 0.05 else _FILES
            headers["X-Name"] = rng.choice(names)
        if rng.random() < 0.05:
            method = rng.choice(_METHODS)
        if rng.random() < 0.05:
            path = rng.choice(_PATHS)
        builder = EnvironBuilder(path, method=method, headers=headers, data=body)
        environ = builder.get_environ()
        if rng.random() < 0.05:
            key, value = rng.choice(_HEADERS)
            special = key.startswith("Content-") and key != "Content-Encoding"
            environ[("" if special else "HTTP_") + key.upper().replace("-", "_")] = value
        yield environ


def _body(rng: random.Random, right: dict) -> bytes:
    content = copy.deepcopy(right)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        _mutate(rng, content)
    body = json.dumps(content).encode()
    return _damage(rng, body) if rng.random() < 0.1 else body


def _mutate(rng: random.Random, content: dict) -> None:
    """Changes, removes or adds one value somewhere in a nest."""
    where = content
    while rng.random() < 0.6:
        inner = [x for x in (where.values() if isinstance(where, dict) else where)]
        inner = [x for x in inner if isinstance(x, dict | list) and x]
        if not inner:
            break
        where = rng.choice(inner)
    keys = list(where) if isinstance(where, dict) else list(range(len(where)))
    if not keys:
        return
    key = rng.choice(keys)
    act = rng.random()
    if act < 0.7:
        where[key] = copy.deepcopy(rng.choice(_STRANGE))
    elif act < 0.85:
        del where[key]
    elif isinstance(where, dict):
        where[rng.choice(["more", "", "seed", "piece"])] = copy.deepcopy(rng.choice(_STRANGE))
    else:
        where.extend(copy.deepcopy(where) * rng.choice([1, 3]))


def _damage(rng: random.Random, body: bytes) -> bytes:
    """Cuts bytes out, or puts random ones in."""
    at = rng.randrange(len(body) + 1)
    noise = rng.choice([b"", b"\xff", b"\0", b"NaN", b"{", b"[" * 2000, rng.randbytes(20)])
    return body[:at] + noise + body[at + rng.choice([0, 1, 10, len(body)]) :]


_MIDI = bytes.fromhex(
    "4d546864000000060001000100604d54726b0000001400903c4060803c0000904040608040000000ff2f00"
)


def _upload(rng: random.Random) -> bytes:
    body = _MIDI
    for _ in range(rng.choice([0, 1, 3])):
        body = _damage(rng, body)
    return body


def send(client: Client, environ: dict) -> int:
    """Sends a request; returns the status.

    Raises:
      AssertionError: if the server made a mistake.
    """
    response = client.run_wsgi_app(environ)
    body, status = b"".join(response[0]), int(response[1].split()[0])
    assert status < 500 or status == 503, (environ["PATH_INFO"], status, body[:300])
    assert b"Traceback" not in body
    if status >= 400 and body and environ["PATH_INFO"].startswith("/api/"):
        assert isinstance(json.loads(body)["error"], str)
    return status


def right_answers(client: Client, names: Collection[str]) -> dict[str, bytes]:
    """Returns the bodies of the answers to all right requests that a run supports."""
    answers = {}
    for name in names:
        headers = {"X-Token": TOKEN}
        response = client.post(f"/api/{name}", json=RIGHT[name], headers=headers)
        assert response.status_code == 200, (name, response.get_data(as_text=True))
        answers[name] = response.get_data()
    return answers


def wait_until_ready(client: Client) -> list[str]:
    """Waits until all is measured; returns the names of the right requests of the run."""
    while True:
        info = client.post("/api/info", json={}, headers={"X-Token": TOKEN}).get_json()
        if info["ready"]:
            return [name for name in RIGHT if name in info["can"]]
        time.sleep(0.1)


def resident_bytes() -> int:
    """Returns the memory of this process, which only Linux tells."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log-dir", required=True, help="a run of vaeseq-midi")
    parser.add_argument("--number", type=int, default=10_000, help="number of requests")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    app = create_app(args.log_dir, TOKEN)
    client, statuses, start = Client(app), collections.Counter(), time.perf_counter()
    names = wait_until_ready(client)
    expected = right_answers(client, names)

    def report(number: int) -> None:
        seconds = time.perf_counter() - start
        print(f"{number} requests, {seconds:.0f} s, {resident_bytes() / 1e6:.0f} MB", flush=True)

    report(0)
    for number, environ in enumerate(itertools.islice(random_environs(args.seed), args.number), 1):
        statuses[send(client, environ)] += 1
        if number % max(1, args.number // 10) == 0:
            report(number)
            assert right_answers(client, names) == expected, "the same request, another answer"
    print("answers by status:", dict(sorted(statuses.items())))
    print("the right requests had the same answers before, between and after")
    app.close()


if __name__ == "__main__":
    main()
