"""Measures a training step of the text model of VAE-Seq (2018): 3 LSTM layers of 512, 32 x 40.

    python -m benchmarks.speed.train_step

Yardsticks: keras.layers.LSTM, PyTorch's nn.LSTM if it is installed, and the matrix products that
the three layers need. The ratios are to vaeseq's RNN, whose layers are LSTMs but in the row of
minGRU. A second table says where the time of that RNN is.
"""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # no busy waiting of PyTorch's threads

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import medians, print_table
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel

BATCH, TIME, UNITS, LAYERS, SYMBOLS = 32, 40, 512, 3, 101
HPARAMS_2018 = TextHParams(
    rnn_hidden_sizes=(UNITS,) * LAYERS,
    embed_size=100,
    obs_encoder_fc_layers=(64, 32),
    obs_decoder_fc_hidden_layers=(64,),
    latent_size=16,
    latent_decoder_fc_layers=(256,),
    batch_size=BATCH,
    sequence_size=TIME,
)


def make_model(vae_type, jit_compile=False, rnn_cell="lstm"):
    """Returns a compiled vaeseq model."""
    hparams = HPARAMS_2018.replace(vae_type=vae_type, rnn_cell=rnn_cell)
    model = TextModel(hparams, Vocabulary(map(chr, range(33, 133))))
    model.compile(jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)
    return model


def vaeseq_step(vae_type, observed, jit_compile=False, rnn_cell="lstm"):
    """Returns a function that trains a vaeseq model for one step."""
    model = make_model(vae_type, jit_compile, rnn_cell)
    step = tf.function(model.train_step, autograph=False, jit_compile=jit_compile)
    return lambda: step(observed)["loss"].numpy()


def parts_of_step():
    """Returns functions that compute parts of a training step of the RNN."""
    model = make_model("RNN")
    layers, variables = model.core.d_rnn, model.trainable_variables
    inputs = tf.random.normal([BATCH, TIME, 32])
    d_outputs = tf.random.normal([BATCH, TIME, UNITS])
    gradients = [tf.random.normal(x.shape) for x in variables]

    @tf.function(autograph=False)
    def forward():
        return layers.unroll(inputs, layers.initial_state(BATCH))[0]

    @tf.function(autograph=False)
    def forward_and_backward():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = forward()
        return tape.gradient(outputs, [inputs, *layers.trainable_variables], d_outputs)

    @tf.function(autograph=False)
    def optimizer():
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    return {
        "recurrent layers, forward": forward,
        "recurrent layers, forward and backward": forward_and_backward,
        "clipping and Adam": optimizer,
    }


def make_keras_model():
    """Returns the same layers around keras.layers.LSTM."""
    return keras.Sequential(
        [
            keras.layers.Embedding(SYMBOLS, 100),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(32),
            *(keras.layers.LSTM(UNITS, return_sequences=True) for _ in range(LAYERS)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(SYMBOLS),
        ]
    )


def keras_step(observed):
    """Returns a function that trains the Keras model for one step."""
    model = make_keras_model()
    model.build(observed.shape)
    optimizer = keras.optimizers.Adam(global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            logits = model(observed[:, :-1])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(observed[:, 1:], logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return lambda: step().numpy()


def import_torch():
    """Imports PyTorch, without Triton.

    PyTorch's optimizers import Triton, a compiler for GPUs, if it is installed. Its LLVM and that
    of TensorFlow, in one process, end in a segmentation fault.
    """
    sys.modules.setdefault("triton", None)
    import torch

    return torch


def make_torch_model():
    """Returns the same layers around nn.LSTM."""
    nn = import_torch().nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Embedding(SYMBOLS, 100), nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 32)
            )
            self.rnn = nn.LSTM(32, UNITS, LAYERS, batch_first=True)
            self.decoder = nn.Sequential(nn.Linear(UNITS, 64), nn.ReLU(), nn.Linear(64, SYMBOLS))

        def forward(self, x):
            return self.decoder(self.rnn(self.encoder(x))[0])

    return Model()


def torch_step(observed):
    """Returns a function that trains the PyTorch model for one step."""
    torch = import_torch()
    nn = torch.nn
    torch.set_num_threads(os.cpu_count())
    observed, model = torch.tensor(observed.numpy()).long(), make_torch_model()
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        optimizer.zero_grad()
        logits = model(observed[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), observed[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def products():
    """Returns a function that computes the matrix products of the layers in a training step."""
    rows, gates = BATCH * TIME, 4 * UNITS
    h, U = tf.random.normal([BATCH, UNITS]), tf.random.normal([UNITS, gates])
    da, U_T = tf.random.normal([BATCH, gates]), tf.transpose(U)
    H, dA = tf.random.normal([rows, UNITS]), tf.random.normal([rows, gates])

    def repeat(times, x, weight):
        """Computes x W repeatedly; x changes, so that no product can be optimized away."""

        def body(t, total):
            return t + 1, total + (x + total[:, :1]) @ weight

        zeros = tf.zeros([BATCH, weight.shape[1]])
        return tf.while_loop(lambda t, _: t < times, body, (0, zeros))[1]

    @tf.function(autograph=False)
    def recurrence(scale):
        results = [repeat(TIME, scale * h, U), repeat(TIME, scale * da, U_T)]
        results += [tf.matmul(scale * H, dA, transpose_a=True)]  # dU
        return [tf.reduce_sum(x) for x in results]

    @tf.function(autograph=False)
    def inputs(scale):
        x, dx = (scale * H) @ U, (scale * dA) @ U_T
        return [tf.reduce_sum(y) for y in (x, dx, tf.matmul(scale * H, dA, transpose_a=True))]

    one = tf.constant(1.0)

    def run():
        # The inputs of the first layer are narrow; their products are not counted.
        return [recurrence(one) for _ in range(LAYERS)], [inputs(one) for _ in range(LAYERS - 1)]

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="timed steps of each contender")
    args = parser.parse_args()
    ids = np.random.default_rng(0).integers(SYMBOLS, size=[BATCH, TIME])
    observed = tf.constant(ids, tf.int32)
    contenders = {
        "vaeseq RNN": vaeseq_step("RNN", observed),
        "vaeseq RNN, minGRU": vaeseq_step("RNN", observed, rnn_cell="mingru"),
        "vaeseq ISEQ": vaeseq_step("ISEQ", observed),
        "vaeseq SRNN": vaeseq_step("SRNN", observed),
        "vaeseq RNN, XLA": vaeseq_step("RNN", observed, jit_compile=True),
        "keras.layers.LSTM": keras_step(observed),
        "matrix products of the RNN alone": products(),
    }
    try:
        contenders["PyTorch nn.LSTM"] = torch_step(observed)
    except ImportError:
        print("PyTorch is not installed: no row for it")
    parts = parts_of_step()
    seconds = medians(contenders | parts, args.rounds)
    in_parts = {name: seconds.pop(name) for name in parts}
    unit = seconds["vaeseq RNN"]
    rows = [[name, f"{s:.3f}", f"{s / unit:.2f}"] for name, s in seconds.items()]
    print_table(["one training step", "s", "x RNN"], rows)
    print()
    rows = [[name, f"{s:.3f}", f"{s / unit:.0%}"] for name, s in in_parts.items()]
    print_table(["of a training step of the RNN", "s", "share"], rows)
    print(f"RNN / keras.layers.LSTM: {unit / seconds['keras.layers.LSTM']:.2f}")


if __name__ == "__main__":
    main()
