"""Measures a training step of the music model of VAE-Seq (2018): 3 LSTM layers of 512, 32 x 64.

    python -m benchmarks.speed.midi_train_step

The decoder is a Beta distribution for each key and a count; the context is the last 20 frames.
Yardstick: keras.layers.LSTM, with the same layers around it. VAE-Seq itself took 2.3, 9.1 and 4.8 s
(RNN, ISEQ, SRNN) with TensorFlow 1.15 on the same kind of machine with 2 cores.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import medians, print_table
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel

KEYS, COUNTS, HISTORY = 128, 11, 20
HPARAMS_2018 = MidiHParams(
    rnn_hidden_sizes=(512, 512, 512),
    obs_encoder_fc_layers=(128, 128, 128),
    history_encoder_fc_layers=(128, 128, 128),
    obs_decoder_fc_hidden_layers=(128, 128),
    latent_decoder_fc_layers=(256,),
    latent_size=16,
    batch_size=32,
    sequence_size=64,
    history_size=HISTORY,
    decoder="beta_count",
    velocity_levels=0,
)
SECONDS_2018 = {"RNN": 2.3, "ISEQ": 9.1, "SRNN": 4.8}


def vaeseq_step(vae_type, rolls):
    """Returns a function that trains a vaeseq model for one step."""
    model = MidiModel(HPARAMS_2018.replace(vae_type=vae_type), KEYS)
    model.compile()
    observed = tf.nest.map_structure(tf.constant, model.observe(rolls))
    step = tf.function(model.train_step, autograph=False)
    return lambda: step(observed)["loss"].numpy()


def mlp(*sizes):
    """Returns dense layers; all but the last are rectified."""
    *hidden, last = sizes
    return [*(keras.layers.Dense(size, "relu") for size in hidden), keras.layers.Dense(last)]


def negative_log_likelihood(features, scores, counts):
    """Returns the mean negative log-likelihood of frames in nats."""
    a, b, logits = tf.split(features, [KEYS, KEYS, COUNTS], axis=-1)
    a, b = tf.nn.softplus(a) + 1e-4, tf.nn.softplus(b) + 1e-4
    beta = tf.math.lgamma(a) + tf.math.lgamma(b) - tf.math.lgamma(a + b)
    log_p = (a - 1) * tf.math.log(scores) + (b - 1) * tf.math.log1p(-scores) - beta
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(counts, logits)
    return tf.reduce_mean(losses - tf.reduce_sum(log_p, axis=-1))


def last_frames(encoded):
    """Returns the HISTORY encoded frames before each frame, concatenated."""
    time = encoded.shape[1]
    before = tf.pad(encoded, [[0, 0], [HISTORY, 0], [0, 0]])
    return tf.concat([before[:, age : age + time] for age in range(HISTORY)], axis=-1)


def make_keras_layers():
    """Returns the encoder of a frame, and the layers from the last frames to the parameters."""
    body = keras.Sequential(
        [
            *mlp(128, 128, 128),
            *(keras.layers.LSTM(512, return_sequences=True) for _ in range(3)),
            *mlp(128, 128, 2 * KEYS + COUNTS),
        ]
    )
    return keras.Sequential(mlp(128, 128, 128)), body


def keras_step(rolls):
    """Returns a function that trains the same model with keras.layers.LSTM for one step."""
    observed = MidiModel(HPARAMS_2018.replace(vae_type="RNN"), KEYS).observe(rolls)
    scores, counts = map(tf.constant, observed)
    x = tf.concat([scores, tf.cast(counts, tf.float32)[..., None]], axis=-1)
    encoder, body = make_keras_layers()
    encoder.build(x.shape)
    body.build([*x.shape[:2], HISTORY * 128])
    variables = encoder.trainable_variables + body.trainable_variables
    optimizer = keras.optimizers.Adam(global_clipnorm=1.0)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = negative_log_likelihood(body(last_frames(encoder(x))), scores, counts)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: step().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each contender")
    args = parser.parse_args()
    rolls = np.random.default_rng(0).random([32, 64, KEYS]) < 4 / KEYS
    contenders = {
        f"vaeseq {name}": vaeseq_step(name, rolls.astype(np.uint8)) for name in SECONDS_2018
    }
    contenders["keras.layers.LSTM"] = keras_step(rolls.astype(np.uint8))
    seconds = medians(contenders, args.rounds)
    keras_seconds = seconds["keras.layers.LSTM"]
    rows = []
    for name, s in seconds.items():
        then = SECONDS_2018.get(name.removeprefix("vaeseq "))
        speedup = f"{then / s:.1f}" if then else "-"
        rows.append([name, f"{s:.3f}", f"{s / keras_seconds:.2f}", f"{then or '-'}", speedup])
    print_table(["one training step", "s", "x Keras", "s in 2018", "speed-up"], rows)


if __name__ == "__main__":
    main()
