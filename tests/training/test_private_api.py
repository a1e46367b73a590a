"""The assumptions of `private_api`, one test each: a new TensorFlow or Keras fails here by name."""

import gc
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from vaeseq.training import private_api, workers


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad", "lion", "ftrl"])
def test_the_variables_of_an_optimizer_are_named_after_the_variable_they_belong_to(name):
    """They belong to the variable whose gradient changes them."""
    inner = keras.Sequential([keras.layers.LSTM(3, name="x")])
    model = keras.Sequential([inner, keras.layers.Dense(12, name="x")])
    model.build([2, 4, 12])
    for variable in model.trainable_variables:
        optimizer = keras.optimizers.get(name)
        optimizer.build(model.trainable_variables)
        before = [x.numpy() for x in optimizer.variables]
        for x in model.trainable_variables:
            gradient = tf.ones(x.shape) if x is variable else tf.zeros(x.shape)
            optimizer.update_step(gradient, x, 0.1)
        pairs = zip(optimizer.variables, before, strict=True)
        changed = [slot for slot, value in pairs if np.any(slot.numpy() != value)]
        assert changed
        for slot in changed:
            assert private_api.slot_owner(slot, model.weights) is variable, slot.path
        assert private_api.slot_owner(optimizer.iterations, model.weights) is None


def test_adam_keeps_the_means_of_each_variables_gradient_and_of_its_square():
    variables = [keras.Variable([1.0]), keras.Variable([1.0, 2.0])]
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.75)
    optimizer.build(variables)
    optimizer.apply([tf.constant([2.0]), tf.constant([4.0, -8.0])], variables)
    for variable, first, second in zip(variables, ([1], [2, -4]), ([1], [4, 16]), strict=True):
        moments = private_api.adam_moments(optimizer, variable)
        np.testing.assert_allclose(moments[0], first)
        np.testing.assert_allclose(moments[1], second)


def test_a_worker_waits_for_the_chief_no_longer_than_the_limit():
    (port,) = workers.free_ports(1)
    cluster = {"worker": [f"localhost:{port}", "localhost:1"]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 1}}
    code = "from vaeseq import workers; workers.strategy(timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=600,
    )
    assert f"LostWorker: the chief at localhost:{port} did not start" in done.stderr


@tf.function
def sum_over_two_workers():
    return tf.raw_ops.CollectiveReduceV2(
        input=tf.constant([1.0]),
        group_size=2,
        group_key=1,
        instance_key=1,
        ordering_token=[],
        merge_op="Add",
        final_op="Id",
        timeout_seconds=0.1,
    )


def test_the_error_of_a_collective_operation_is_known_by_its_message():
    with pytest.raises(tf.errors.OpError) as error:
        sum_over_two_workers()
    assert private_api.lost_worker(error.value) == "a worker"
    with pytest.raises(tf.errors.OpError) as error:
        tf.debugging.assert_equal(1, 2)
    assert private_api.lost_worker(error.value) is None


def test_optimizers_sum_gradients_over_replicas_by_the_method_that_is_replaced():
    variable = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([variable])
    assert callable(optimizer._all_reduce_sum_gradients)
    private_api.use_summed_gradients(optimizer)
    seen, unchanged = [], optimizer._all_reduce_sum_gradients

    def spy(gradients):
        seen.extend(gradients)
        return unchanged(gradients)

    optimizer._all_reduce_sum_gradients = spy
    optimizer.apply_gradients([(tf.constant([0.5]), variable)])
    assert len(seen) == 1 and np.array_equal(seen[0][0], [0.5])
    np.testing.assert_allclose(variable.numpy(), [0.5])


def test_fit_builds_models_by_the_method_that_does_nothing(monkeypatch):
    class Model(private_api.NoSymbolicBuild, keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    called = []
    monkeypatch.setattr(
        private_api.NoSymbolicBuild,
        "_maybe_symbolic_build",
        lambda self, *args, **kwargs: called.append(self.built),
    )
    assert hasattr(keras.Model, "_maybe_symbolic_build")
    model = Model()
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.zeros([2, 1]), np.zeros([2, 1]), verbose=0)
    model.evaluate(np.zeros([2, 1]), np.zeros([2, 1]), verbose=0)
    assert called == [False, True]


def test_seed_states_are_those_of_the_random_layers_in_their_order():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.norm = keras.layers.Dropout(0.1), keras.layers.BatchNormalization()
            self.second = keras.layers.GaussianNoise(0.1)
            self.mean = keras.metrics.Mean()

        def call(self, inputs):
            return self.second(self.norm(self.first(inputs)))

    model = Model()
    model(np.zeros([2, 3]))
    states = private_api.seed_states(model)
    expected = [layer.seed_generator.state for layer in (model.first, model.second)]
    assert [id(x) for x in states] == [id(x) for x in expected]
    assert len(model.weights) == 4 and len(model.mean.variables) == 2


def test_all_layers_lists_each_layer_once_and_before_those_in_it():
    class Block(keras.layers.Layer):
        def __init__(self, shared):
            super().__init__()
            self.shared, self.own = shared, (keras.layers.Dense(1),)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            shared = keras.layers.Dense(2)
            self.blocks = (Block(shared), Block(shared))

    model = Model()
    first, second = model.blocks
    layers = private_api.all_layers(model)
    assert len(layers) == len({id(x) for x in layers}) == 6
    assert {id(x) for x in layers} == {
        id(x) for x in (model, first, second, first.shared, first.own[0], second.own[0])
    }
    places = {id(layer): place for place, layer in enumerate(layers)}
    assert places[id(model)] == 0
    assert places[id(first)] < places[id(first.own[0])]
    assert places[id(second)] < places[id(second.own[0])]
    assert [id(x) for x in private_api.sublayers(first)] == [id(first.shared), id(first.own[0])]


def test_a_gradient_by_hand_is_registered_as_long_as_its_graph_lives():
    @tf.custom_gradient
    def double(x):
        return 2 * x, lambda dx: 5 * dx

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = double(x)
            private_api.free_gradient_with_graph(y)
        return tape.gradient(y, x), tf.gradients(y, x)

    gc.collect()
    before = set(ops.gradient_registry.list())
    for _ in range(2):
        assert tf.nest.flatten(gradient(tf.constant(1.0))) == [5, 5]
    assert len(ops.gradient_registry.list() - before) == 1
    del gradient
    gc.collect()
    assert ops.gradient_registry.list() == before


@pytest.mark.parametrize(
    ("make", "warns"), [(tf.function, True), (private_api.compile_quietly, False)]
)
def test_a_loop_over_models_is_not_taken_for_frequent_tracing(caplog, make, warns):
    class Model:
        def __init__(self):
            self.compiled = make(self.double)

        def double(self, x):
            return 2 * x

    for _ in range(9):
        assert Model().compiled(tf.constant(2)) == 4
    assert ("retracing" in caplog.text) == warns
