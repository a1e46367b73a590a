"""Learns videos of a bouncing ball, and writes an animation of data beside generated videos.

python -m scripts.gallery.ball --out runs/gallery/ball.gif
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.quality import bouncing_ball as ball
from vaeseq.examples.play.pictures import gif

VIDEOS, FRAMES_PER_SECOND = 8, 4


def main():
    """Trains the models, and animates the first videos that each of them generates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="ball.gif", help="the animation, a GIF file")
    parser.add_argument("--models", nargs="+", choices=ball.MODELS, default=list(ball.MODELS))
    parser.add_argument("--epochs", type=int, default=12, help="313 updates each")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(hparams="")
    args = parser.parse_args()
    videos = {"data": ball.draw(ball.make_places(VIDEOS, seed=ball.HELD_OUT["test"]))}
    for name in args.models:
        model, minutes = ball.train(name, args)
        print(f"{name}: {args.epochs} epochs, {minutes:.1f} minutes")
        videos[name] = np.asarray(model.generate(VIDEOS, ball.STEPS, seed=args.seed))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_bytes(animate(videos))


def animate(videos):
    """Returns a GIF of videos [N, T, SIZE, SIZE] by name, a row for each name."""
    figure = Figure(figsize=(7.6, 0.8 * len(videos)), dpi=80)
    grid = figure.subplots(len(videos), VIDEOS, squeeze=False)
    figure.subplots_adjust(left=0.13, right=0.995, top=0.98, bottom=0.02, hspace=0.1, wspace=0.1)
    shown = []
    for axes, (name, rows) in zip(grid, videos.items(), strict=True):
        for ax, video in zip(axes, rows, strict=True):
            ax.set(xticks=[], yticks=[])
            shown.append((ax.imshow(video[0], cmap="gray_r", vmin=0, vmax=1), video))
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    canvas, frames = FigureCanvasAgg(figure), []
    for step in range(ball.STEPS):
        for image, video in shown:
            image.set_data(video[step])
        canvas.draw()
        frames.append(np.array(canvas.buffer_rgba())[..., :3])
    return gif(frames, ball.STEPS / FRAMES_PER_SECOND)


if __name__ == "__main__":
    main()
