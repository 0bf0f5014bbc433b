"""Training under `tf.distribute`, on several devices or machines."""

import contextlib
from collections.abc import Iterator

import keras


def strategy_of(model: keras.Model):
    """Returns the strategy under which the model was created, or `None` on other backends."""
    return getattr(model, "distribute_strategy", None)


def scope_of(model: keras.Model):
    """Returns the strategy scope in which variables of the model must be created."""
    strategy = strategy_of(model)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def replicas_of(model: keras.Model) -> int:
    """Returns the number of replicas that split a batch under `tf.distribute`."""
    return getattr(strategy_of(model), "num_replicas_in_sync", 1)


def is_chief(model: keras.Model) -> bool:
    """Returns whether this process is the one of several that writes files."""
    cluster = getattr(strategy_of(model), "cluster_resolver", None)
    return cluster is None or cluster.task_id in (None, 0)


@contextlib.contextmanager
def statistics_over_all(model: keras.Model, batch_size: int | None) -> Iterator[None]:
    """Lets batch normalization use the statistics of the whole batch over all replicas.

    Raises:
        ValueError: If `batch_size` is not divisible by the number of replicas.
    """
    replicas = replicas_of(model)
    if batch_size is not None and batch_size % replicas:
        raise ValueError(
            f"`batch_size` must be divisible by the number of replicas, {replicas}. "
            f"Received: batch_size={batch_size}"
        )
    norms = [norm for norm in batch_normalizations(model) if not norm.synchronized]
    changed = norms if replicas > 1 else []
    for norm in changed:
        norm.synchronized = True
    try:
        yield
    finally:
        for norm in changed:
            norm.synchronized = False


def batch_normalizations(layer: keras.Layer) -> list[keras.layers.BatchNormalization]:
    """Returns the batch normalizations in a layer, at any depth."""
    found, seen, waiting = [], set(), [layer]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, keras.layers.BatchNormalization):
            found.append(item)
        elif isinstance(item, keras.Layer):
            waiting.extend(vars(item).values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
    return found
