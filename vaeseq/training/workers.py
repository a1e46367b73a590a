"""Several workers, or several devices of one, train one model together (`tf.distribute`).

Every worker is a process with the same command. Each takes its rows of the same global batch, and
all make the same update, so that they have the same weights at every step. The first, the chief,
alone writes; the others read the run directory, which all must see.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from absl import logging

from vaeseq.errors import LostWorker, UsageError
from vaeseq.training.signals import default_handlers

_SECONDS_TO_COME = 300.0
_SECONDS_TO_LEAVE = 30.0


def strategy() -> tf.distribute.Strategy:
    """How this process takes part: as one of the workers of TF_CONFIG, with all its GPUs, or alone.

    Call it before TensorFlow has computed anything. Models are made and compiled in its `scope()`.

    Raises:
      UsageError: where TF_CONFIG is not as TensorFlow wants it.
    """
    tf.get_logger().setLevel("WARNING")  # the rest is for who works on TensorFlow
    if os.environ.get("TF_CONFIG"):
        return _multi_worker()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _multi_worker() -> tf.distribute.Strategy:
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster = {job: len(config["cluster"][job]) for job in sorted(config["cluster"])}
        own = config["task"]["type"], config["task"]["index"]
        if not cluster.keys() <= {"chief", "worker"} or own[1] not in range(cluster[own[0]]):
            raise ValueError(f"task {own} of {cluster}")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host0:port", "host1:port"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}: {error!r}'
        ) from error
    leader, *others = [address for job in cluster for address in config["cluster"][job]]
    if own == (min(cluster), 0):
        _wait_for(others)
    _wait_no_longer_than(_SECONDS_TO_COME, cluster)
    try:
        with default_handlers():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise LostWorker(f"the chief at {leader} did not come; start all workers again") from error


def _wait_for(addresses: list[str]) -> None:
    """Waits until all answer: TensorFlow, in the chief, would wait for ever and say nothing."""
    logging.info("waiting for the workers at %s", ", ".join(addresses))
    deadline = time.monotonic() + _SECONDS_TO_COME
    for address in addresses:
        host, _, port = address.rpartition(":")
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LostWorker(
                        f"the worker at {address} did not come within {_SECONDS_TO_COME:.0f} s "
                        f"({error}); start all workers again"
                    ) from error
                time.sleep(0.1)


def _wait_no_longer_than(seconds: float, cluster: dict[str, int]) -> None:
    """Bounds a worker's wait for the chief, which is an hour; TensorFlow has no public way."""
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


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def share(strategy: tf.distribute.Strategy, rows: int) -> int:
    """The rows of each replica in a batch of so many, or UsageError."""
    own, rest = divmod(rows, strategy.num_replicas_in_sync)
    if rest:
        raise UsageError(
            f"hparams: a batch_size of {rows} cannot be shared by {strategy.num_replicas_in_sync} "
            "replicas: make it a multiple"
        )
    return own


def broadcast_from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The chief's value, in all workers, when all have come here."""
    if strategy.num_replicas_in_sync == 1:
        return value

    @tf.function(autograph=False)
    def of_chief(value: tf.Tensor) -> tf.Tensor:
        def own() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)
            return context.all_reduce(
                tf.distribute.ReduceOp.SUM, tf.where(is_first, value, tf.zeros_like(value))
            )

        return strategy.experimental_local_results(strategy.run(own))[0]

    with reraise_as_lost_worker():
        return int(of_chief(tf.constant(value, tf.int64)))


@contextlib.contextmanager
def reraise_as_lost_worker() -> Iterator[None]:
    """Raises `LostWorker` for what TensorFlow says when a collective operation has failed."""
    try:
        yield
    except tf.errors.OpError as error:
        if "ollective" not in error.message:
            raise
        found = re.search(r"task:(\d+)(?:\n| while)", error.message)
        who = f"worker {found[1]}" if found else "a worker"
        raise LostWorker(f"{who} is gone; start all workers again to go on") from error


@contextlib.contextmanager
def launch(number: int, main: Callable[[], Any]) -> Iterator[tf.distribute.Strategy]:
    """The strategy of a program, with `number` workers on this machine, or as TF_CONFIG says.

    With a number above 1, this process becomes the chief, and starts the others with its own
    command line. They end with it, whatever ends it.

    Args:
      number: of workers, this one included.
      main: the console script's function, importable.

    Raises:
      LostWorker: where another worker ends before its time.
    """
    with contextlib.ExitStack() as stack:
        if number > 1 and not os.environ.get("TF_CONFIG"):
            stack.enter_context(_followers(number, main))
        with reraise_as_lost_worker():
            yield strategy()


@contextlib.contextmanager
def _followers(number: int, main: Callable[[], Any]) -> Iterator[None]:
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(number)]}
    configs = [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(number)
    ]
    code = f"from {main.__module__} import {main.__name__} as main; main()"
    command = [sys.executable, "-c", code, *sys.argv[1:]]
    # In sessions of their own: Ctrl-C comes to the chief alone, who sees to them.
    processes = [
        subprocess.Popen(command, env={**os.environ, "TF_CONFIG": config}, start_new_session=True)
        for config in configs[1:]
    ]
    os.environ["TF_CONFIG"] = configs[0]
    try:
        yield
    except BaseException:
        for process in processes:
            process.kill()  # they have nothing to save, and may be waiting for this one
        raise
    finally:
        del os.environ["TF_CONFIG"]
        for process in processes:
            _wait(process)


def _wait(process: subprocess.Popen) -> None:
    try:
        process.wait(_SECONDS_TO_LEAVE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
