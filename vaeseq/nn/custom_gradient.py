"""Gradients written by hand, as with `tf.custom_gradient`, in graphs that can be freed."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq.training.private_api import free_gradient_with_graph


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that returns its results and their gradient function.

    It is `tf.custom_gradient`, except that a process which trains one model after another does not
    keep the graphs of all of them.
    """
    differentiable = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        results = differentiable(*args)
        if not tf.executing_eagerly():
            free_gradient_with_graph(tf.nest.flatten(results)[0])
        return results

    return call
