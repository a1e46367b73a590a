"""The command: what it says, and how it ends."""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from vaeseq.cli import desktop
from vaeseq.examples.midi.studio import serve


@pytest.fixture
def used_port():
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        yield used.getsockname()[1]


def test_a_port_in_use_is_named(trained, midi_main, used_port):
    arguments = ["--log-dir", trained("melody").path, "--port", used_port, "--no-browser"]
    code, stdout, stderr = midi_main("studio", *arguments)
    assert code == 2 and not stdout and len(stderr.splitlines()) == 1
    assert f"--port: cannot listen at {used_port}: Address already in use" in stderr


@pytest.mark.parametrize("port", [-1, 65536, "x"])
def test_a_wrong_port_is_refused(midi_main, tmp_path, port):
    code, _, stderr = midi_main("studio", "--log-dir", tmp_path, "--port", port)
    assert code == 2 and "--port" in stderr and len(stderr.splitlines()) == 1


def test_no_run_is_one_line(midi_main, tmp_path):
    code, _, stderr = midi_main("studio", "--log-dir", tmp_path, "--port", 0, "--no-browser")
    assert code == 2 and "there is no run" in stderr and len(stderr.splitlines()) == 1


def test_a_run_of_another_program_is_one_line(midi_main, tmp_path):
    about = {"vaeseq": "0.1.0", "program": "vaeseq-text", "hparams": {}}
    (tmp_path / "run.json").write_text(json.dumps(about))
    code, _, stderr = midi_main("studio", "--log-dir", tmp_path, "--port", 0, "--no-browser")
    assert code == 2 and "another program" in stderr
    assert len(stderr.splitlines()) == 1


def test_a_run_of_a_later_version_is_one_line(trained, midi_main, tmp_path):
    about = json.loads((trained("melody").path / "run.json").read_text())
    about["hparams"]["from_the_future"] = 1
    (tmp_path / "run.json").write_text(json.dumps(about))
    code, _, stderr = midi_main("studio", "--log-dir", tmp_path, "--port", 0, "--no-browser")
    assert code == 2 and "from_the_future" in stderr and len(stderr.splitlines()) == 1


def test_a_run_with_several_keyboards_is_refused(trained, midi_main):
    run = trained("keys").path
    code, _, stderr = midi_main("studio", "--log-dir", run, "--port", 0, "--no-browser")
    assert code == 2 and "--instruments apart" in stderr and len(stderr.splitlines()) == 1


def test_the_page_is_served_while_the_browser_is_being_opened(monkeypatch, capsys):
    """What opens it may stay in the foreground."""
    serving, opened, waited = threading.Event(), threading.Event(), []

    def open_address(address):
        waited.append(serving.wait(30))
        opened.set()

    def serve_forever(server):
        serving.set()
        opened.wait(30)

    app = SimpleNamespace(token="secret", close=lambda: None)
    monkeypatch.setattr(serve, "create_app", lambda log_dir: app)
    monkeypatch.setattr(serve._Server, "serve_forever", serve_forever)
    monkeypatch.setattr(desktop, "open_address", open_address)
    serve.studio(SimpleNamespace(log_dir="run", port=0, no_browser=False))
    assert waited == [True]
    assert "token=secret" in capsys.readouterr().out


def test_it_serves_until_ctrl_c(trained):
    """In a process of its own, because it has a signal and a socket."""
    code = "from vaeseq.examples.midi import app; app.main()"
    command = [sys.executable, "-c", code, "studio", "--log-dir", str(trained("melody").path)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [*command, "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        address = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(address) as page:
            assert page.status == 200 and b"<html" in page.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address.partition("?")[0])
        process.send_signal(2)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in stderr, stderr
