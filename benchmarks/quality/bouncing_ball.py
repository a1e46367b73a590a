"""Where does the ball go next? Video of a ball that bounces off the walls in a random direction.

    python -m benchmarks.quality.bouncing_ball --figure docs/bouncing_ball.png

The argument of VAE-Seq (2018) for expressive distributions and latent variables. A recurrent
network can know all directions in which the ball may leave a wall, and how probable each of them
is. But if its output describes the pixels as independent variables, each pixel decides for itself
which of the directions is taken, and the sampled ball falls to pieces. With `NADEDecoder`, each
pixel is given those before it; with a core with latent variables, z_t decides where the ball is,
and independent pixels are enough.

The physics is simple enough to know the best possible nats per frame, of any model and of those
with independent pixels. All models have the same convolutional networks and data.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

import vaeseq
from benchmarks.timing import print_table
from vaeseq import codec

SIZE, STEPS = 16, 16
BALL = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], np.uint8)
PLACES = SIZE - len(BALL) + 1  # of the ball along each axis
VELOCITIES = np.array(  # in pixels per frame, of about equal speed
    [[y, x] for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x >= 4]
)
SEQUENCES, SAMPLES = 10_000, 1000  # trained on; held out, and generated
HELD_OUT = {"validation": 10**6, "test": 10**6 + 1}  # seeds
GOING_ON = 7  # frames of the figure's futures
HPARAMS = vaeseq.HParams(
    latent_size=6,
    rnn_hidden_sizes=(128,),
    obs_decoder_fc_hidden_layers=(256, 256),
    latent_decoder_fc_layers=(128,),
    learning_rate=0.006,
    batch_size=32,
)
MODELS = {"RNN": ("RNN", "pixels"), "RNN-NADE": ("RNN", "nade"), "SRNN": ("SRNN", "pixels")}


class Video(vaeseq.ModelBase):
    """Sequences of binary images, [B, T, SIZE, SIZE]; `pixels` names their distribution."""

    def __init__(self, hparams, pixels):
        self.pixels = pixels
        super().__init__(hparams)

    def make_encoder(self):
        return codec.ConvObsEncoder(self.hparams)

    def make_decoder(self):
        shape = [SIZE, SIZE]
        nade = self.pixels == "nade"
        pixels = codec.NADEDecoder(shape, hidden=128) if nade else codec.BernoulliDecoder(shape)
        return codec.ConvDecoder(self.hparams, pixels)


def is_inside(place):
    """Returns whether the ball is inside the walls at [..., (y, x)]."""
    return np.all((place >= 0) & (place < PLACES), axis=-1)


def simulate(start, rng, steps):
    """Returns where the ball is, [N, steps, (y, x)], after the first places [N, n, (y, x)].

    The ball keeps its velocity. If it would hit a wall, or has no velocity yet, it takes one of the
    velocities that keep it inside, each with the same probability.
    """
    places = list(np.moveaxis(start, 1, 0))
    for _ in range(steps):
        possible = places[-1][:, None] + VELOCITIES
        choice = np.argmax(is_inside(possible) * rng.random(possible.shape[:2]), axis=1)
        new = possible[np.arange(len(choice)), choice]
        straight = 2 * places[-1] - places[-2] if len(places) > 1 else np.full_like(new, -1)
        places.append(np.where(is_inside(straight)[:, None], straight, new))
    return np.stack(places[start.shape[1] :], axis=1)


def make_places(count, seed):
    """Returns where the ball is in `count` sequences, [count, STEPS, (y, x)]."""
    rng = np.random.default_rng(seed)
    start = rng.integers(PLACES, size=[count, 1, 2])
    return np.concatenate([start, simulate(start, rng, STEPS - 1)], axis=1)


def draw(places):
    """Returns images [..., SIZE, SIZE] of the ball at [..., (y, x)]."""
    return possible_frames()[places[..., 0], places[..., 1]]


def possible_frames():
    """Returns images of the ball at all places, [PLACES, PLACES, SIZE, SIZE]."""
    frames = np.zeros([PLACES, PLACES, SIZE, SIZE], np.uint8)
    for y in range(PLACES):
        for x in range(PLACES):
            frames[y, x, y : y + len(BALL), x : x + len(BALL)] = BALL
    return frames


def find(frames):
    """Returns the places of the balls in frames [..., SIZE, SIZE]; -1 where is no ball."""
    flat = frames.reshape(-1, SIZE * SIZE).astype(np.float32)
    possible = possible_frames().reshape(-1, SIZE * SIZE).astype(np.float32)
    overlap = flat @ possible.T
    is_ball = (overlap.max(axis=1) == BALL.sum()) & (flat.sum(axis=1) == BALL.sum())
    place = np.stack(np.divmod(overlap.argmax(axis=1), PLACES), axis=-1)
    return np.where(is_ball[:, None], place, -1).reshape(*frames.shape[:-2], 2)


def is_turning(places):
    """Returns whether the next frame is uncertain after places [N, n, (y, x)], n >= 2: [N]."""
    return ~is_inside(2 * places[:, -1] - places[:, -2])


def entropies(places):
    """Returns the entropy of each frame of [N, T, (y, x)] given those before it, in nats.

    The mean over many sequences is the least possible number of nats per frame. The second of the
    two, each [N, T], is that of models with independent pixels.
    """
    frames = possible_frames()
    of_frame, of_pixels = np.zeros([2, PLACES, PLACES])
    for y in range(PLACES):
        for x in range(PLACES):
            new = VELOCITIES + np.array([y, x])
            new = new[is_inside(new)]
            of_frame[y, x] = np.log(len(new))
            of_pixels[y, x] = entropy_of_pixels(draw(new))
    first = np.log(PLACES**2), entropy_of_pixels(frames.reshape(-1, SIZE, SIZE))
    turning = [np.zeros(len(places), bool), np.ones(len(places), bool)]
    turning += [is_turning(places[:, :step]) for step in range(2, places.shape[1])]
    result = []
    for table, start in zip((of_frame, of_pixels), first, strict=True):
        after = np.roll(table[places[..., 0], places[..., 1]], 1, axis=1)
        nats = np.where(np.stack(turning, axis=1), after, 0)
        nats[:, 0] = start
        result.append(nats)
    return result


def entropy_of_pixels(frames):
    """Returns the sum of the entropies of all pixels of equally likely frames [N, SIZE, SIZE]."""
    p = frames.mean(axis=0)
    p = np.stack([p, 1 - p])
    return -np.sum(p * np.log(np.maximum(p, 1e-9)))


def share_of_possible_moves(places):
    """Returns the share of frames, from the third on, to which the ball can move.

    Places are [N, T, (y, x)]. A frame counts if it and the two before show a ball, and the ball has
    kept its velocity, or taken another at a wall.
    """
    before, last, new = places[:, :-2], places[:, 1:-1], places[:, 2:]
    straight = 2 * last - before
    is_ball = np.all([is_inside(x) for x in (before, last, new)], axis=0)
    keeps = np.all(new == straight, axis=-1)
    takes = np.any(np.all((new - last)[..., None, :] == VELOCITIES, axis=-1), axis=-1)
    return np.mean(is_ball & (keeps | takes & ~is_inside(straight)))


def train(name, args):
    """Returns a trained model and the minutes that training took."""
    vae_type, pixels = MODELS[name]
    hparams = HPARAMS.replace(vae_type=vae_type, seed=args.seed).parse(args.hparams)
    updates_per_epoch = -(-SEQUENCES // hparams.batch_size)
    hparams = hparams.replace(learning_rate_decay_steps=args.epochs * updates_per_epoch)
    keras.utils.set_random_seed(hparams.seed)
    model = Video(hparams, pixels)
    model.compile()
    observed = draw(make_places(SEQUENCES, seed=args.seed))
    start = time.perf_counter()
    model.fit(observed, batch_size=hparams.batch_size, epochs=args.epochs, verbose=0)
    return model, (time.perf_counter() - start) / 60


def measure(model, places, particles):
    """Returns nats per frame of held-out sequences, and shares of generated frames, as text."""
    observed = draw(places)
    nats = -np.mean(model.log_prob(observed, num_samples=particles)) / STEPS
    prefix = places[:, : STEPS // 2]
    new = find(model.generate(len(places), 1, prefix=draw(prefix)).numpy())[:, 0]
    is_ball, turning = is_inside(new), is_turning(prefix)
    samples = find(model.generate(SAMPLES, STEPS).numpy())
    shares = [
        is_ball[~turning].mean(),
        is_ball[turning].mean(),
        is_inside(samples).mean(),
        share_of_possible_moves(samples),
    ]
    return [f"{nats:.2f}", *(f"{share:.0%}" for share in shares)]


def find_turn(places):
    """Returns the first sequence whose ball takes a new direction in the middle, [1, n, (y, x)]."""
    prefix = places[:, : STEPS // 2]
    touches_one_wall = np.sum((prefix[:, -1] == 0) | (prefix[:, -1] == PLACES - 1), axis=1) == 1
    return prefix[is_turning(prefix) & touches_one_wall][:1]


def plot(given, futures, path):
    """Plots the last frames of `given` [T, SIZE, SIZE], and the futures of each model.

    Futures are [N, T, SIZE, SIZE]: the mean of the next frame, some samples of it, and how the
    first of them goes on.
    """
    figure = Figure(figsize=(13.5, 1.05 * len(futures) + 0.4), layout="constrained")
    shown, samples = 2, 4
    going_on = next(iter(futures.values())).shape[1] - 1
    widths = [1] * shown + [0.3, 1, 0.3] + [1] * samples + [0.3] + [1] * going_on
    grid = figure.subplots(len(futures), len(widths), width_ratios=widths, squeeze=False)
    for axes, (label, images) in zip(grid, futures.items(), strict=True):
        panels = [*given[-shown:], None, images[:, 0].mean(axis=0), None]
        panels += [*images[:samples, 0], None, *images[0, 1:]]
        for ax, panel in zip(axes, panels, strict=True):
            if panel is None:
                ax.set_axis_off()
            else:
                ax.imshow(panel, cmap="gray_r", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(label, fontsize="large")
    for column, title in {
        0: "given",
        shown + 1: "next, mean",
        shown + 3: "next, four samples",
        shown + samples + 4: "the first of them goes on",
    }.items():
        text = grid[0, column].set_title(title, loc="left", fontsize="large")
        text.set_in_layout(column == 0)  # a title may be wider than its column
    figure.savefig(path, dpi=80)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=12, help="313 updates each")
    parser.add_argument("--particles", type=int, default=100, help="samples of the bound")
    parser.add_argument("--held-out", choices=HELD_OUT, default="test", help="what to score")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hparams", default="", help="changes to the hyperparameters of all")
    parser.add_argument("--figure", help="PNG file to write")
    return parser.parse_args()


def main():
    args = parse_arguments()
    places = make_places(SAMPLES, seed=HELD_OUT[args.held_out])
    all_balls = ["100%"] * 4
    of_frames, of_pixels = (f"{nats.mean():.2f}" for nats in entropies(places))
    rows = [
        ["the physics", "entropy", of_frames, *all_balls, "-", "-"],
        ["its pixels, independent", "entropy", of_pixels, "-", "-", "-", "-", "-", "-"],
    ]
    turn = find_turn(places)
    many = np.repeat(turn, SAMPLES, axis=0)
    futures = {"physics": draw(simulate(many, np.random.default_rng(args.seed), GOING_ON))}
    for name in args.models:
        model, minutes = train(name, args)
        kind = "exact" if MODELS[name][0] == "RNN" else "upper bound"
        cells = measure(model, places, args.particles)
        rows.append([name, kind, *cells, f"{model.count_params():,}", f"{minutes:.1f}"])
        futures[name] = model.generate(SAMPLES, GOING_ON, prefix=draw(turn)).numpy()
    shares = ["next, in flight", "next, at a wall", "of samples", "possible moves"]
    header = ["model", "kind", "nats per frame", *shares, "parameters", "training, min"]
    print_table(header, rows)
    if args.figure:
        plot(draw(turn)[0], futures, args.figure)


if __name__ == "__main__":
    main()
