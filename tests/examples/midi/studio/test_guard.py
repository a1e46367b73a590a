"""Who gets in, and that wrong requests are answered in a sentence."""

import inspect
import re
from pathlib import Path

import pytest
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.test import create_environ, run_wsgi_app

from tests.examples.midi.studio.conftest import TOKEN
from vaeseq.examples.midi.studio import app, guard

RIGHT = {"count": 1, "frames": 8, "temperature": 1, "seed": 0}
PIECE = {"frames": 8, "notes": [[0, 4, 60]]}


def refused(response, code):
    """Returns the sentence of a refusal."""
    assert response.status_code == code, response.get_data(as_text=True)
    sentence = response.get_json()["error"]
    assert isinstance(sentence, str) and "Traceback" not in sentence and len(sentence) < 300
    return sentence


def test_the_page_needs_the_token(melodies):
    response = melodies.client.get("/", query_string={"token": TOKEN})
    assert response.status_code == 200 and response.mimetype == "text/html"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy and "http" not in policy
    assert response.headers["Referrer-Policy"] == "no-referrer"
    for given in ({}, {"token": "wrong"}, {"token": "ü"}, {"token": TOKEN + "x"}):
        response = melodies.client.get("/", query_string=given)
        assert response.status_code == 403 and "vaeseq-midi studio" in response.text
        assert TOKEN not in response.text


def test_a_request_needs_the_token(melodies):
    for headers in ({"X-Token": ""}, {"X-Token": "wrong"}, {"X-Token": "s\xe4cret"}):
        assert "token" in refused(melodies.post("draw", RIGHT, headers=headers), 403)
    assert "token" in refused(melodies.client.post("/api/draw", json=RIGHT), 403)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil:80", ""])
def test_another_name_of_the_server_is_refused(melodies, host):
    assert "name" in refused(melodies.post("info", headers={"Host": host}), 403)
    assert refused(melodies.client.get("/", headers={"Host": host}), 403)


def test_its_own_names_are_taken_at_any_port(melodies):
    for host in ("127.0.0.1:8421", "localhost:1", "localhost"):
        assert melodies.post("info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "https://localhost", "", "x"])
def test_another_site_is_refused(melodies, origin):
    assert "site" in refused(melodies.post("info", headers={"Origin": origin}), 403)


def test_the_page_itself_may_ask(melodies):
    assert melodies.post("info", headers={"Origin": "http://localhost"}).status_code == 200


def test_an_address_takes_one_method(melodies):
    headers = {"X-Token": TOKEN}
    response = melodies.client.get("/api/draw", headers=headers)
    assert "POST" in refused(response, 405) and response.headers["Allow"] == "POST"
    assert "GET" in refused(melodies.client.post("/", headers=headers), 405)
    assert refused(melodies.client.delete("/static/index.html"), 405)
    refused(melodies.client.get("/nothing"), 404)
    refused(melodies.post("nothing"), 404)


@pytest.mark.parametrize(
    "name", ["nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", ""]
)
def test_static_files_are_those_of_the_folder(melodies, name):
    refused(melodies.client.get(f"/static/{name}"), 404)


def test_static_files_need_no_token_and_have_a_type(melodies):
    response = melodies.client.get("/static/index.html")
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    font = melodies.client.head("/static/TimGM6mb.sf2")
    assert font.status_code == 200 and font.mimetype == "application/octet-stream"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (RIGHT | {"count": 17}, "count"),
        (RIGHT | {"count": 0}, "count"),
        (RIGHT | {"count": "1"}, "count"),
        (RIGHT | {"count": True}, "count"),
        (RIGHT | {"count": 1.5}, "count"),
        (RIGHT | {"frames": 1025}, "frames"),
        (RIGHT | {"temperature": 0.04}, "temperature"),
        (RIGHT | {"temperature": 10**400}, "temperature"),
        (RIGHT | {"seed": 2**31}, "seed"),
        (RIGHT | {"seed": -1}, "seed"),
        (RIGHT | {"more": 1}, "more"),
        ({"count": 1}, "required"),
        ([], "object"),
        (None, "required"),
    ],
)
def test_a_wrong_field_is_named(melodies, fields, words):
    assert words in refused(melodies.post("draw", fields), 400)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"seed": NaN}', b'{"seed": ' + b"9" * 5000 + b"}"],
)
def test_what_is_not_json_is_refused(melodies, data):
    refused(melodies.post("draw", data=data), 400)


@pytest.mark.parametrize(
    "note",
    [
        *([0, 4], [0, 4, 60, 1], [0, 4, 128], [0, 4, -1], [-1, 4, 60], [0, 0, 60], [5, 4, 60]),
        *([0, 4, 60.5], [0, 4, None], [0, True, 60], "note", None, {}, [0, 10**30, 60]),
    ],
)
def test_a_wrong_note_is_named(melodies, note):
    fields = {"end": {"seed": 1}, "steps": 2, "frames": 8, "temperature": 1, "seed": 0}
    start = {"piece": {"frames": 8, "notes": [[0, 1, 60], note]}}
    sentence = refused(melodies.post("line", fields | {"start": start}), 400)
    assert sentence.startswith("start.piece.notes[1]: ")


@pytest.mark.parametrize("source", [{}, {"seed": 1, "piece": PIECE}, {"other": 1}, 1, [PIECE]])
def test_a_source_is_a_seed_or_a_piece(melodies, source):
    fields = {"frames": 8, "temperature": 1, "seed": 0}
    corners = [{"seed": 1}, {"piece": PIECE}, source, {"seed": 2}]
    assert "corners[2]" in refused(melodies.post("pad", fields | {"corners": corners}), 400)


def test_too_large_a_body_is_refused_before_it_is_read(melodies):
    class Endless:
        """A body of which nothing may be read."""

        def read(self, *_):
            raise AssertionError("was read")

    environ = create_environ("/api/draw", method="POST", headers={"X-Token": TOKEN})
    environ |= {"wsgi.input": Endless(), "CONTENT_LENGTH": str(256 * 1024 + 1)}
    _, status, _ = run_wsgi_app(melodies.studio, environ)
    assert status.startswith("413")


def test_a_mistake_of_the_server_is_no_traceback(melodies, monkeypatch):
    monkeypatch.setitem(melodies.studio._api._answers, "info", lambda fields: 1 / 0)
    assert "mistake" in refused(melodies.post("info"), 500)


def test_the_page_of_the_studio_lists_every_status_of_an_error():
    """Werkzeug itself refuses bodies that are too large."""
    kinds = filter(inspect.isclass, [*vars(app).values(), *vars(guard).values()])
    errors = [RequestEntityTooLarge, *(x for x in kinds if issubclass(x, HTTPException))]
    page = Path(__file__).parents[4] / "docs" / "studio.md"
    (listed,) = re.findall(r"An error is .* with status ([\d, or\s]+)", page.read_text("utf-8"))
    assert set(map(int, re.findall(r"\d+", listed))) == {x.code for x in errors} - {None}
