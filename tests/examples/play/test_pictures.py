"""Pictures and films of games."""

import io
from types import SimpleNamespace

import matplotlib.axes
import numpy as np
import PIL.Image
import pytest

from vaeseq.examples.play import pictures
from vaeseq.examples.play.episodes import Episode


def test_limits_are_those_of_the_variables_that_are_drawn(monkeypatch):
    observations = np.tile([0.0, 1.0, -1.0, 0.5, 28.0, -28.0], (3, 1))
    episode = Episode(observations, np.zeros([2, 1]), np.zeros(2), True)
    limits, set_axes = [], matplotlib.axes.Axes.set

    def keep(axes, **kwargs):
        limits.append(kwargs["ylim"])
        return set_axes(axes, **kwargs)

    monkeypatch.setattr(pictures, "dream", lambda player, episode: observations)
    monkeypatch.setattr(pictures, "_FRAMES", 1)
    monkeypatch.setattr(matplotlib.axes.Axes, "set", keep)
    pictures.reality_beside_dream(None, episode)
    assert limits == [(-1, 1)] * 2


@pytest.mark.parametrize("steps, shown", [(4, [0, 1, 2, 3]), (9, [0, 4, 8]), (19, [0, 8, 16])])
def test_a_film_of_a_long_game_leaves_out_frames_but_not_time(steps, shown):
    film, rendered = pictures.Film(max_frames=4), []
    for step in range(steps):

        def render(step=step):
            rendered.append(step)
            return np.full([2, 2, 3], 10 * step, np.uint8)

        film.record(SimpleNamespace(render=render))
    assert len(rendered) <= 4 * (1 + np.log2(steps)), "what is left out is not rendered either"
    image, brightness, milliseconds = PIL.Image.open(io.BytesIO(film.gif(10.0))), [], 0
    for number in range(image.n_frames):
        image.seek(number)
        brightness.append(image.convert("L").getpixel((0, 0)) // 10)
        milliseconds += image.info["duration"]
    assert brightness == shown
    assert abs(milliseconds - 100 * steps) <= 10 * len(shown)
