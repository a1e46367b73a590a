"""What a latent variable is for: the first frame of a sequence of black-and-white images.

    python -m benchmarks.quality.first_frame --figure docs/first_frame.png

The example of VAE-Seq (2018). Before the first frame, a recurrent network has seen nothing. Its
output describes the pixels as independent variables, so the best it can do is the average of all
possible first frames, and a sample is noise. A core with latent variables first samples z_1, which
decides what the frame shows and where; given z_1, independent pixels are enough.

The data are made here: a box, a bar or a cross starts at a random place and moves diagonally.
Both models have the same sizes, data and number of training steps.
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

SIZE, SHAPE_SIZE, STEPS = 12, 6, 3
PLACES = SIZE - SHAPE_SIZE + 1  # of a shape along each axis
SEQUENCES, SAMPLES = 6400, 1000  # trained on; held out, and generated
HPARAMS = vaeseq.HParams(
    latent_size=8,
    rnn_hidden_sizes=(64,),
    obs_encoder_fc_layers=(128,),
    obs_decoder_fc_hidden_layers=(256, 256),
    latent_decoder_fc_layers=(64,),
    divergence_schedule="constant",
    learning_rate=0.01,
    batch_size=32,
)


class Frames(vaeseq.ModelBase):
    """Sequences of binary images, [B, T, SIZE, SIZE]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        pixels = codec.BernoulliDecoder(event_shape=[SIZE, SIZE])
        return codec.MLPObsDecoder(self.hparams, pixels)


def make_shapes():
    """Returns a box, a bar and a cross, [3, SHAPE_SIZE, SHAPE_SIZE]."""
    box, bar, cross = np.zeros([3, SHAPE_SIZE, SHAPE_SIZE], np.int32)
    box[:] = 1
    box[2:-2, 2:-2] = 0
    bar[:, 2:-2] = 1
    cross[:, 2:-2] = cross[2:-2] = 1
    return np.stack([box, bar, cross])


def make_possible_frames():
    """Returns every shape at every place, [3, PLACES, PLACES, SIZE, SIZE]."""
    shapes = make_shapes()
    frames = np.zeros([len(shapes), PLACES, PLACES, SIZE, SIZE], np.int32)
    for row in range(PLACES):
        for column in range(PLACES):
            frames[:, row, column, row : row + SHAPE_SIZE, column : column + SHAPE_SIZE] = shapes
    return frames


def make_sequences(frames, count, seed):
    """Returns `count` sequences of a shape that moves and bounces, [count, T, SIZE, SIZE]."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(len(frames), size=[count, 1])
    start = rng.integers(PLACES, size=[2, count, 1])
    velocity = rng.choice([-1, 1], size=[2, count, 1])
    last = PLACES - 1
    row, column = last - np.abs((start + velocity * np.arange(STEPS)) % (2 * last) - last)
    return frames[shape, row, column]


def train(vae_type, frames, args):
    """Returns a trained model and the seconds that training took."""
    hparams = HPARAMS.replace(vae_type=vae_type, seed=args.seed).parse(args.hparams)
    steps = args.epochs * SEQUENCES // hparams.batch_size
    hparams = hparams.replace(learning_rate_decay_steps=steps)
    keras.utils.set_random_seed(hparams.seed)
    model = Frames(hparams)
    model.compile()
    observed = make_sequences(frames, SEQUENCES, seed=args.seed)
    start = time.perf_counter()
    model.fit(observed, batch_size=hparams.batch_size, epochs=args.epochs, verbose=0)
    return model, time.perf_counter() - start


def share_of_shapes(samples, frames, tolerance):
    """Returns the share of images at most `tolerance` pixels away from a possible frame."""
    images, possible = samples.reshape(len(samples), -1), frames.reshape(-1, SIZE * SIZE)
    differences = images.sum(1)[:, None] + possible.sum(1) - 2 * images @ possible.T
    return np.mean(differences.min(axis=1) <= tolerance)


def plot(rows, path):
    """Plots the mean of the images of each row, then the first of them."""
    columns = 11
    figure = Figure(figsize=(columns, 3.3), layout="constrained")
    grid = figure.subplots(len(rows), columns)
    for axes, (label, images) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(label, fontsize="large")
        for ax, image in zip(axes, [images.mean(axis=0), *images], strict=False):
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
    grid[0, 0].set_title("mean")
    figure.savefig(path, dpi=80)


def entropies(frames):
    """Returns the entropy of a first frame in nats, and that of pixels taken as independent.

    These are the smallest possible nats per frame with and without dependencies between pixels.
    """
    p = frames.reshape(-1, SIZE, SIZE).mean(axis=0)
    p = np.stack([p, 1 - p])
    pixels = -np.sum(p * np.log(np.maximum(p, 1e-9)))
    return np.log(frames[..., 0, 0].size), pixels  # all possible frames are equally likely


def measure(model, first, frames, particles):
    """Returns nats per first frame, the share of samples that are shapes, and the samples."""
    nats = -np.mean(model.log_prob(first, num_samples=particles))
    samples = model.generate(SAMPLES, 1).numpy()[:, 0]
    shares = [f"{share_of_shapes(samples, frames, pixels):.0%}" for pixels in (0, 2)]
    return [f"{nats:.2f}", *shares], samples


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core", choices=["ISEQ", "SEQVAE", "SRNN"], default="SRNN")
    parser.add_argument("--epochs", type=int, default=60, help="200 steps each")
    parser.add_argument("--particles", type=int, default=1000, help="samples of the bound")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hparams", default="", help="changes to the hyperparameters of both")
    parser.add_argument("--figure", help="PNG file to write")
    return parser.parse_args()


def main():
    args = parse_arguments()
    frames = make_possible_frames()
    first = make_sequences(frames, SAMPLES, seed=10**6)[:, :1]
    of_frames, of_pixels = entropies(frames)
    rows = [
        ["the data", "entropy", f"{of_frames:.2f}", "100%", "100%", "-"],
        ["its pixels, independent", "entropy", f"{of_pixels:.2f}", "-", "-", "-"],
    ]
    images = {"data": first[:, 0]}
    for vae_type, kind in (("RNN", "exact"), (args.core, "upper bound")):
        model, seconds = train(vae_type, frames, args)
        cells, images[vae_type] = measure(model, first, frames, args.particles)
        rows.append([vae_type, kind, *cells, f"{seconds:.0f}"])
    shares = ["possible frames", "within 2 pixels"]
    print_table(["first frame", "kind", "nats", *shares, "training, s"], rows)
    if args.figure:
        plot(images, args.figure)


if __name__ == "__main__":
    main()
