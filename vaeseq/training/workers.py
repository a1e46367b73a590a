"""Training one model with several workers, or several devices of one worker (`tf.distribute`).

Every worker is a process that runs the same command. Each takes its rows of the same global batch,
and all make the same update, so their weights are equal at every step. Only the first worker, the
chief, writes; the others read the run directory, which all must be able to access.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf
from absl import logging

from vaeseq.errors import LostWorker, UsageError
from vaeseq.training import private_api
from vaeseq.training.signals import default_handlers

__all__ = [
    "is_chief",
    "launch",
    "share",
    "strategy",
]

_SECONDS_TO_LEAVE = 30.0


def strategy(timeout: float = 300.0) -> tf.distribute.Strategy:
    """Returns the strategy of this process: a worker of TF_CONFIG, all its GPUs, or one device.

    Call it before TensorFlow has computed anything. Make and compile models in its `scope()`.

    Args:
      timeout: the time to wait for other workers, in seconds.

    Raises:
      UsageError: if TF_CONFIG is malformed.
      LostWorker: if another worker does not start in time.

    Example:
      >>> import vaeseq
      >>> strategy = vaeseq.workers.strategy()
      >>> with strategy.scope():
      ...     pass  # make and compile the model here
    """
    tf.get_logger().setLevel("WARNING")  # lower levels are for TensorFlow's developers
    if os.environ.get("TF_CONFIG"):
        return _multi_worker(timeout)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _multi_worker(timeout: float) -> tf.distribute.Strategy:
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster = {job: len(config["cluster"][job]) for job in sorted(config["cluster"])}
        own = config["task"]["type"], config["task"]["index"]
        if not cluster.keys() <= {"chief", "worker"} or own[1] not in range(cluster[own[0]]):
            raise ValueError(f"task {own} of {cluster}")
        leader, *others = [address for job in cluster for address in config["cluster"][job]]
        for address in (leader, *others):
            int(address.rpartition(":")[2])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host0:port", "host1:port"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}: {error!r}'
        ) from error
    if own == (min(cluster), 0):
        wait_for_workers(others, timeout)
    private_api.limit_wait_for_cluster(timeout, cluster)
    try:
        with default_handlers():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise LostWorker(f"the chief at {leader} did not start; start all workers again") from error


def wait_for_workers(addresses: Sequence[str], timeout: float) -> None:
    """Waits until all workers accept connections; TensorFlow's chief would wait forever, silently.

    Raises:
      LostWorker: if one does not within `timeout` seconds.
    """
    logging.info("waiting for the workers at %s", ", ".join(addresses))
    deadline = time.monotonic() + timeout
    for address in addresses:
        host, _, port = address.rpartition(":")
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LostWorker(
                        f"the worker at {address} did not start within {timeout:.0f} s "
                        f"({error}); start all workers again"
                    ) from error
                time.sleep(0.1)


def has_others(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is one of several workers."""
    resolver = strategy.cluster_resolver
    if resolver is None:
        return False
    workers = resolver.cluster_spec().as_dict()
    return sum(len(workers.get(job, ())) for job in ("chief", "worker")) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the worker that writes.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> vaeseq.workers.is_chief(tf.distribute.get_strategy())  # a single process
      True
    """
    if not has_others(strategy):
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def share(strategy: tf.distribute.Strategy, rows: int) -> int:
    """Returns the number of rows of each replica in a batch.

    Raises:
      UsageError: if the rows cannot be divided equally.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> vaeseq.workers.share(tf.distribute.get_strategy(), rows=32)
      32
    """
    replicas: int = strategy.num_replicas_in_sync
    own, rest = divmod(rows, replicas)
    if rest:
        raise UsageError(
            f"hparams: a batch_size of {rows} cannot be shared by {replicas} replicas; "
            "make it a multiple"
        )
    return own


def broadcast_from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """Returns the chief's value on every worker. All workers must call it: it is a barrier."""
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
    """Raises `LostWorker` for TensorFlow's errors of collective operations."""
    try:
        yield
    except tf.errors.OpError as error:
        who = private_api.lost_worker(error)
        if who is None:
            raise
        raise LostWorker(f"{who} is gone; start all workers again to resume") from error


@contextlib.contextmanager
def launch(number: int, main: Callable[[], object]) -> Iterator[tf.distribute.Strategy]:
    """Starts `number` workers on this machine, or joins those of TF_CONFIG; yields the strategy.

    With a number above 1, this process becomes the chief and starts the others with its own
    command line. The other processes end together with this one.

    Args:
      number: the number of workers, including this one.
      main: the function of the console script; it must be importable.

    Raises:
      LostWorker: if another worker ends early.

    Example:
      >>> import vaeseq
      >>> def main():
      ...     "The function of a console script."
      >>> with vaeseq.workers.launch(1, main) as strategy:
      ...     strategy.num_replicas_in_sync
      1
    """
    with contextlib.ExitStack() as stack:
        if number > 1 and not os.environ.get("TF_CONFIG"):
            stack.enter_context(_followers(number, main))
        with reraise_as_lost_worker():
            yield strategy()


@contextlib.contextmanager
def _followers(number: int, main: Callable[[], object]) -> Iterator[None]:
    configs = cluster_configs(number)
    code = f"from {main.__module__} import {main.__name__} as main; main()"
    command = [sys.executable, "-c", code, *sys.argv[1:]]
    # In sessions of their own: only the chief receives Ctrl-C, and it ends the others.
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for config in configs[1:]:
            environment = {**os.environ, "TF_CONFIG": config}
            process = subprocess.Popen(command, env=environment, start_new_session=True)
            processes.append(process)
        os.environ["TF_CONFIG"] = configs[0]
        yield
    except BaseException:
        for process in processes:
            process.kill()  # they have nothing to save, and may be waiting for this process
        raise
    finally:
        os.environ.pop("TF_CONFIG", None)
        for process in processes:
            _wait(process)


def cluster_configs(number: int) -> list[str]:
    """Returns a TF_CONFIG for each of `number` workers on free ports of this machine."""
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(number)]}
    tasks: list[Mapping[str, object]] = [{"type": "worker", "index": i} for i in range(number)]
    return [json.dumps({"cluster": cluster, "task": task}) for task in tasks]


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_SECONDS_TO_LEAVE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(number: int) -> list[int]:
    """Returns ports of this machine that no program uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
