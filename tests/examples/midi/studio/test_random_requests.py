"""Nothing that a page sends makes the server fail; `benchmarks.random_requests` sends many more."""

import collections
import itertools

import pytest

from benchmarks.random_requests import RIGHT, TOKEN, random_environs, send
from tests.examples.midi.studio import conftest


@pytest.mark.parametrize("kind", ["melody", "nade"])
def test_random_requests_are_answered_or_refused(studio_of, kind):
    assert TOKEN == conftest.TOKEN
    visitor = studio_of(kind)
    environs = itertools.islice(random_environs(1), 300)
    statuses = collections.Counter(send(visitor.client, environ) for environ in environs)
    assert statuses[200] > 20 and statuses[400] > 50 and statuses[403], statuses


def test_the_requests_that_are_mutated_are_right(melodies):
    conftest.wait_until_ready(melodies)
    for name, fields in RIGHT.items():
        assert melodies.post(name, fields).status_code == 200, name
