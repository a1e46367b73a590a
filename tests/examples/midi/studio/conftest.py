"""A studio of each kind of run, without a socket."""

import functools
from typing import NamedTuple

import numpy as np
import pytest
from werkzeug.test import Client

from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.examples.midi.studio.api import Api
from vaeseq.examples.midi.studio.app import LOCAL_HOSTS, Studio, create_app

TOKEN = "secret"


class Visitor(NamedTuple):
    """A page, as the server knows it."""

    client: Client
    studio: Studio

    def post(self, name, fields=None, **options):
        """Posts a request; `options` are those of werkzeug's client."""
        headers = {"X-Token": TOKEN} | options.pop("headers", {})
        given = {"json": {} if fields is None else fields} if "data" not in options else {}
        return self.client.post(f"/api/{name}", headers=headers, **given, **options)

    def ask(self, name, **fields):
        """Returns the answer to a right request."""
        response = self.post(name, fields)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()


def wait_until_ready(visitor):
    """Waits until all is measured; returns the info."""
    visitor.studio._api._background.join()
    info = visitor.ask("info")
    assert info["ready"]
    return info


@pytest.fixture(scope="session")
def studio_of(trained):
    """Opens the studio of a kind of run; see `tests.examples.midi.conftest.FLAGS`."""
    opened = []

    @functools.cache
    def open_studio(kind):
        opened.append(create_app(str(trained(kind).path), TOKEN))
        return Visitor(Client(opened[-1]), opened[-1])

    yield open_studio
    for studio in opened:
        studio.close()


@pytest.fixture
def studio_by_second():
    """Opens the studio of a model of piano rolls with 8 frames per second, at a tempo."""
    opened = []

    def open_studio(tempo):
        small = {"rnn_hidden_sizes": (8,), "obs_encoder_fc_layers": (8,), "decoder": "keys"}
        model = MidiModel(MidiHParams(sequence_size=8, **small), KEYS)
        silence = Corpus(np.zeros([8, KEYS], np.uint8), [(0, 8)])
        api = Api("by second", model, RollFormat(8.0, tempo=tempo), silence, silence)
        opened.append(Studio(api, TOKEN, LOCAL_HOSTS))
        return Visitor(Client(opened[-1]), opened[-1])

    yield open_studio
    for studio in opened:
        studio.close()


@pytest.fixture
def melodies(studio_of):
    return studio_of("melody")
