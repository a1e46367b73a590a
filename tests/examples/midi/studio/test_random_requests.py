"""Nothing that a page sends makes the server fail; `benchmarks.random_requests` sends many more."""

import collections
import itertools

from benchmarks.random_requests import RIGHT, TOKEN, random_environs, send
from tests.examples.midi.studio import conftest


def test_random_requests_are_answered_or_refused(melodies):
    assert TOKEN == conftest.TOKEN
    environs = itertools.islice(random_environs(1), 300)
    statuses = collections.Counter(send(melodies.client, environ) for environ in environs)
    assert statuses[200] > 20 and statuses[400] > 50 and statuses[403], statuses


def test_the_requests_that_are_mutated_are_right(melodies):
    conftest.wait_until_ready(melodies)
    for name, fields in RIGHT.items():
        assert melodies.post(name, fields).status_code == 200, name
