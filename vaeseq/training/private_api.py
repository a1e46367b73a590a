"""Uses of private APIs of TensorFlow and Keras, with the assumption that each one makes.

`tests/training/test_private_api.py` tests every assumption, so that a new version of TensorFlow or
Keras that breaks one fails there by name.
"""

import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from vaeseq.training.trainable import Variable


def slot_owner(slot: Variable, variables: Iterable[Variable]) -> keras.Variable | None:
    """Returns the variable for which an optimizer keeps `slot`, such as a moment; None if none.

    Assumption: Keras names the optimizer's variables `<path of the variable>_<what they are>`,
    with `_` for `/` in the path. Variables with equal paths and shapes are not distinguished.
    """
    owners = [
        x
        for x in variables
        if isinstance(x, keras.Variable)
        and x.shape == slot.shape
        and slot.name.startswith(x.path.replace("/", "_") + "_")
    ]
    return max(owners, key=_path_length, default=None)


def adam_moments(
    optimizer: keras.optimizers.Adam, variable: Variable
) -> tuple[keras.Variable, keras.Variable]:
    """Returns the means of a variable's gradient and of its square that Adam keeps.

    Assumption: `_momentums` and `_velocities` have them at the index of the variable.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def _path_length(variable: keras.Variable) -> int:
    return len(variable.path)


def limit_wait_for_cluster(seconds: float, cluster: Mapping[str, int]) -> None:
    """Limits the time that a worker waits for the chief; TensorFlow's default is an hour.

    Assumption: `MultiWorkerMirroredStrategy` leaves a coordination service alone that was
    configured in the private eager context, and waits as long as `cluster_register_timeout_in_ms`.

    Args:
      seconds: the limit.
      cluster: the number of tasks in each job. The first task of the first job is the chief.
    """
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{min(cluster)}/replica:0/task:0",
        cluster_register_timeout_in_ms=int(1000 * seconds),
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=job, num_tasks=tasks)
            for job, tasks in cluster.items()
        ],
    )


def compile_quietly(function: Callable[..., Any]) -> Any:
    """Returns a `tf.function` that neither converts Python code nor warns of frequent tracing."""
    return quietly(tf.function(function, reduce_retracing=True, autograph=False))


def quietly(function: Any) -> Any:
    """Turns off a `tf.function`'s warnings of frequent tracing, and returns it.

    TensorFlow counts the traces of all models of a class together, so that a loop over models would
    print a page of warnings.

    Assumption: `_omit_frequent_tracing_warning` turns them off.
    """
    function._omit_frequent_tracing_warning = True
    return function


def lost_worker(error: tf.errors.OpError) -> str | None:
    """Returns who is gone if `error` is that of a collective operation, such as "worker 1".

    Assumption: the messages of such errors contain "Collective" or "collective", and name the
    worker that does not answer as `task:N` before a line break or " while".

    Returns:
      None if `error` has another cause.
    """
    if "ollective" not in error.message:
        return None
    found = re.search(r"task:(\d+)(?:\n| while)", error.message)
    return f"worker {found[1]}" if found else "a worker"


def use_summed_gradients(optimizer: keras.optimizers.Optimizer) -> None:
    """Tells an optimizer that the gradients it gets are already summed over all replicas.

    Keras sums them in `apply_gradients`, but clips each replica's own gradients before. Its sum
    also keeps the graph of the step until the process ends, as `free_gradient_with_graph` says.
    """

    optimizer._all_reduce_sum_gradients = _unchanged


def _unchanged(
    gradients: list[tuple[tf.Tensor, tf.Variable]],
) -> list[tuple[tf.Tensor, tf.Variable]]:
    return gradients


def micro_batch(optimizer: keras.optimizers.Optimizer) -> tuple[tf.Tensor | int, int]:
    """Returns the index of the micro-batch within its update, and how many an update has.

    Assumption: `iterations` counts updates, and `_iterations` the calls of `apply_gradients`.
    """
    count = optimizer.gradient_accumulation_steps or 1
    return (tf.cast(optimizer._iterations % count, tf.int32) if count > 1 else 0), count


class NoSymbolicBuild:
    """A base of models whose constructor creates the weights; list it before `keras.Model`.

    `fit` and `evaluate` of Keras build a model symbolically, which fails for several replicas.
    """

    def _maybe_symbolic_build(self, *_: Any, **__: Any) -> None:
        """Does nothing."""


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of the random generators of a model's layers, such as dropout.

    They are the variables of a model that are neither weights nor parts of metrics.
    """
    others = {id(variable) for variable in model.weights}
    others |= {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in others]


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns a model and all layers in it, each once, in an order that its constructor decides.

    Assumption: `_flatten_layers` lists a layer before the layers in it.
    """
    return list(model._flatten_layers())


def set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    """Sets whether a layer is trainable, and its own variables, but not the layers in it.

    Assumption: the setter of Keras does this, and then sets all layers in it.
    """
    layer._trainable = value
    for variable in layer._trainable_variables:
        variable.trainable = value


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers in the attributes of a layer, without those in them.

    Assumption: `_flatten_layers` can leave out the layer itself, and layers within others.
    """
    return list(layer._flatten_layers(include_self=False, recursive=False))


def free_gradient_with_graph(output: tf.Tensor) -> None:
    """Ends the registration of the gradient of `output` when its graph is freed.

    `output` is a result of `tf.custom_gradient` in a graph. TensorFlow registers the gradient of
    every such call under a new name until the process ends, and the gradient refers to tensors,
    each of which keeps the whole graph.

    Assumption: the registry is a dictionary from such names to dictionaries, with the gradient at
    "type".
    """
    from tensorflow.python.framework import ops

    registry, graph = ops.gradient_registry._registry, output.graph
    name = output.op.get_attr("_gradient_op_type").decode()
    gradient = registry[name]["type"]
    graph._vaeseq_gradients = [*getattr(graph, "_vaeseq_gradients", []), gradient]
    registry[name]["type"] = weakref.proxy(gradient)
    weakref.finalize(graph, registry.pop, name, None).atexit = False
