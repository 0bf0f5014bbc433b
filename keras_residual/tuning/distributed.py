"""A search by several processes: Keras Tuner's chief and workers, watched on both sides."""

import _thread
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from keras_residual import _checks
from keras_residual.tuning.errors import SearchError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclass(frozen=True)
class Cluster:
    """What one process is in a search by several.

    The chief decides what to try and keeps the results; workers train. A worker may come, go or
    vanish at any time: it tells the chief that it lives, and once it has been silent for the lease
    its trial is given to another.

    Attributes:
        role: `"chief"` or `"worker"`.
        chief: `"HOST:PORT"` of the chief, which listens there.
        worker: Name of a worker, unlike all others. Defaults to host and process number. One that
            is started again under its name goes on with its trial at once.
        lease: Seconds of silence after which the chief gives a worker's trial away. Defaults to
            `120`.
        patience: Seconds after which a worker ends when the chief does not answer, and the chief
            when there is no worker. Defaults to `300`.
    """

    role: str
    chief: str
    worker: str = ""
    lease: float = 120.0
    patience: float = 300.0

    def __post_init__(self):
        _checks.choice("role", self.role, ("chief", "worker"))
        host, _, port = str(self.chief).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(
                f'`chief` must be "HOST:PORT", such as "10.0.0.1:8000". Received: {self.chief!r}'
            )
        _checks.real("lease", self.lease, 0.1, float("inf"))
        _checks.real("patience", self.patience, 0.1, float("inf"))
        if not isinstance(self.worker, str) or "chief" in self.worker:
            raise ValueError(
                f'`worker` must be a name without "chief" in it. Received: {self.worker!r}'
            )

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.chief.rpartition(":")
        return host, int(port)

    @property
    def name(self) -> str:
        if self.role == "chief":
            return "chief"
        host = socket.gethostname().replace("chief", "c-h-i-e-f")
        return self.worker or f"{host}-{os.getpid()}"


@contextlib.contextmanager
def joined(cluster: Cluster | None) -> Iterator[None]:
    """Tells Keras Tuner, which reads it from the environment, what this process is."""
    if cluster is None:
        yield
        return
    if cluster.role == "worker":
        _wait_for(cluster)
    before = {name: os.environ.get(name) for name in _VARIABLES}
    host, port = cluster.address
    os.environ.update(zip(_VARIABLES, (cluster.name, host, str(port)), strict=True))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def run(cluster: Cluster | None, tuner, **fit_arguments) -> None:
    """Searches, in the role of this process."""
    if cluster is None:
        tuner.search(**fit_arguments)
    elif cluster.role == "chief":
        _serve(cluster, tuner)
    else:
        _work(cluster, tuner, fit_arguments)


def _serve(cluster, tuner):
    """Answers workers until every trial has ended and every worker that lives knows it.

    Keras Tuner's own loop would wait for workers that have vanished.
    """
    failures = []

    def serve():
        try:
            tuner.search()
        except Exception as error:  # to be raised where the user sees it
            failures.append(error)

    oracle, alive, over = tuner.oracle, time.monotonic(), False
    told = len(oracle.end_order)
    threading.Thread(target=serve, daemon=True).start()
    while not over:
        time.sleep(0.2)
        over = oracle.told_the_end and not oracle.tuner_ids
        for trial_id in oracle.end_order[told:]:
            tuner.listener.trial_ended(oracle.trials[trial_id])
            told += 1
        if failures:
            raise SearchError(
                f"The chief cannot listen at {cluster.chief}: {failures[0]}"
            ) from failures[0]
        for worker in oracle.expired():
            # One that has a trial is forgotten when another takes it.
            if worker not in oracle.ongoing_trials or oracle.told_the_end:
                oracle.forget(worker)
        if set(oracle.heard) - set(oracle.expired()):
            alive = time.monotonic()
        if time.monotonic() - alive > cluster.patience:
            raise SearchError(
                f"No worker has been heard of for {cluster.patience:.0f} s; "
                f"{len(oracle.end_order)} trials have ended. The same commands go on."
            )


def _work(cluster, tuner, fit_arguments):
    import grpc

    done, lost = threading.Event(), threading.Event()

    def renew():
        """Tells the chief that this worker lives while it trains."""
        while not done.wait(min(10.0, cluster.lease / 5)):
            if tuner.current_trial is not None:
                with contextlib.suppress(grpc.RpcError):
                    tuner.oracle.get_trial(tuner.current_trial)

    def watch():
        """Ends the worker when the chief has been gone for too long."""
        answered = time.monotonic()
        while not done.wait(min(2.0, cluster.patience / 5)):
            if _answers(cluster):
                answered = time.monotonic()
            elif time.monotonic() - answered > cluster.patience:
                lost.set()
                _thread.interrupt_main()
                return

    for job in (renew, watch):
        threading.Thread(target=job, daemon=True).start()
    gone = f"The chief at {cluster.chief} is gone. Start it again, then this worker."
    try:
        tuner.search(**fit_arguments)
    except grpc.RpcError as error:
        details = str(error.details())
        if details.startswith("Exception calling application"):
            raise SearchError(f"The chief at {cluster.chief} failed. {details}") from error
        raise SearchError(gone) from error
    except KeyboardInterrupt:
        if lost.is_set():
            raise SearchError(gone) from None
        raise
    finally:
        done.set()


def _wait_for(cluster):
    until = time.monotonic() + cluster.patience
    while not _answers(cluster):
        if time.monotonic() > until:
            raise SearchError(
                f"No chief has answered at {cluster.chief} for {cluster.patience:.0f} s."
            )
        time.sleep(0.2)


def _answers(cluster) -> bool:
    try:
        with socket.create_connection(cluster.address, timeout=2):
            return True
    except OSError:
        return False


def strategy():
    """Returns the `tf.distribute` strategy over all devices of the process, if it is of use.

    On JAX it sets `keras.distribution` for the process instead.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        return None
    if backend != "tensorflow":
        raise ValueError("`data_parallel` needs the TensorFlow or JAX backend.")
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        return None
    return tf.distribute.MirroredStrategy([device.name for device in devices])
