"""Animates a game of a trained player beside one that its world model imagines.

python -m scripts.gallery.dream --log-dir runs/cartpole --out runs/gallery/dream.gif

Both start with the cart and the pole at the same place, off the middle, and the player acts in
both. The model imagines four numbers in each step; the game draws them.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gymnasium
import numpy as np
import PIL.Image
import PIL.ImageDraw

from vaeseq.examples import play
from vaeseq.examples.play import pictures
from vaeseq.examples.play.program import PlayProgram

START = (-1.5, 0.0, 0.1, 0.0)  # place, speed, angle and angular speed of cart and pole
SIZE, FRAMES_PER_SECOND = (300, 200), 25  # half the speed of the game
COLOURS = 32


class Tilted(gymnasium.Wrapper):
    """A game that starts away from its middle."""

    def reset(self, **kwargs):
        """Begins an episode."""
        self.env.reset(**kwargs)
        self.unwrapped.state = np.array(START)
        return np.array(START, np.float32), {}


def render(env, observations, title):
    """Returns pictures of a game at the observations [T, 4]."""
    frames = []
    for state in observations:
        env.unwrapped.state = state
        frame = PIL.Image.fromarray(env.render()).resize(SIZE, PIL.Image.Resampling.LANCZOS)
        PIL.ImageDraw.Draw(frame).text((8, 6), title, fill="black", font_size=16)
        frames.append(np.asarray(frame))
    return frames


def main():
    """Plays a game and dreams one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log-dir", required=True, help="a run of vaeseq-play on CartPole-v1")
    parser.add_argument("--out", default="dream.gif", help="the animation, a GIF file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    _, player = PlayProgram(None).trained(args.log_dir)
    env = Tilted(gymnasium.make("CartPole-v1", render_mode="rgb_array", disable_env_checker=True))
    (episode,) = play.play(player, env, games=1, seed=args.seed)
    dreamed = pictures.dream(player, episode)
    real = episode.observations[: len(dreamed)]
    predicted = pictures.predict(player, episode, 0, len(real) - 1)
    print(f"the game lasts {len(episode.rewards)} steps; {len(real) - 1} of them are shown")
    for name, steps in (
        ("the game", real),
        ("the dream", dreamed),
        ("the model, given the actions of the game", predicted),
    ):
        print(f"{name}: cart at {steps[-1, 0]:.2f}, pole at {np.rad2deg(steps[-1, 2]):.1f} degrees")
    env.reset(seed=args.seed)
    both = zip(render(env, real, "game"), render(env, dreamed, "dream"), strict=True)
    frames = [np.concatenate(pair, axis=1) for pair in both]
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_bytes(pictures.gif(frames, len(frames) / FRAMES_PER_SECOND))


if __name__ == "__main__":
    main()
