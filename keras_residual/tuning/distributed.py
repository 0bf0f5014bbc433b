"""Distributed search by a chief and workers, which detect when the other side is gone."""

import _thread
import contextlib
import ipaddress
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import keras

from keras_residual import _checks
from keras_residual._words import counted
from keras_residual.tuning import service
from keras_residual.tuning.errors import SearchError

SECRET, SECRET_FILE = "KERAS_RESIDUAL_SECRET", "KERAS_RESIDUAL_SECRET_FILE"
"""Names of the environment variables that hold the secret, or the path of a file with it."""


@dataclass(frozen=True)
class Cluster:
    """The role of one process in a distributed search.

    The chief chooses trials and keeps the results; workers train. A worker may join, leave or crash
    at any time: it sends heartbeats to the chief, and if none arrives for the length of the lease
    its trial is given to another worker.

    Attributes:
        role: `"chief"` or `"worker"`.
        chief: `"HOST:PORT"` that the chief listens on. Defaults to `"127.0.0.1:8000"`, which only
            processes on the same machine can reach.
        worker: Unique name of a worker. Defaults to host name and process id. A worker restarted
            under the same name resumes its trial at once.
        lease: Seconds without a heartbeat after which the chief reassigns a worker's trial.
            Defaults to `120`.
        patience: Seconds after which a worker stops if the chief does not answer, and the chief
            stops if it has no worker. Defaults to `300`.
        secret: Shared by chief and workers; calls without it are rejected. Defaults to the
            environment variable `KERAS_RESIDUAL_SECRET`, or to the content of the file that
            `KERAS_RESIDUAL_SECRET_FILE` names. Required unless the chief listens on a loopback
            address. Calls are signed with it but not encrypted; use trusted networks.
    """

    role: str
    chief: str = "127.0.0.1:8000"
    worker: str = ""
    lease: float = 120.0
    patience: float = 300.0
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
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
        if self.secret is not None and not (isinstance(self.secret, str) and self.secret.strip()):
            raise ValueError("`secret` must be a non-empty string.")
        if not self.key and not _is_loopback(self.address[0]):
            raise ValueError(
                f"`chief` at {self.chief} can be reached from other machines and needs a `secret`: "
                f"set {SECRET}, or {SECRET_FILE} to the path of a file with it."
            )

    @property
    def key(self) -> str:
        """The secret from the argument, the environment or a file; empty without one."""
        if self.secret is not None:
            return self.secret.strip()
        if path := os.environ.get(SECRET_FILE):
            return read_secret(path)
        return os.environ.get(SECRET, "").strip()

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


def read_secret(path: str | os.PathLike[str]) -> str:
    """Returns the secret in a file.

    Raises:
        ValueError: If the file cannot be read or is empty.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"The file of the secret, {path}, cannot be read: {error}") from error
    if not text:
        raise ValueError(f"The file of the secret, {path}, is empty.")
    return text


def _is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def run(cluster: Cluster | None, tuner, **fit_arguments) -> None:
    """Runs the search in the role of this process."""
    if cluster is None:
        tuner.search(**fit_arguments)
    elif cluster.role == "chief":
        _serve(cluster, tuner)
    else:
        _work(cluster, tuner, fit_arguments)


def _serve(cluster, tuner):
    """Serves workers until all trials have ended and every active worker has been notified."""
    try:
        server = service.serve(tuner.oracle, cluster.chief, cluster.key)
    except RuntimeError as error:
        raise SearchError(f"The chief cannot listen at {cluster.chief}: {error}") from error
    try:
        _watch(cluster, tuner)
    finally:
        server.stop(grace=2.0).wait()


def _watch(cluster, tuner):
    """Returns when the search is over; drops workers whose lease has expired."""
    oracle, alive, over = tuner.oracle, time.monotonic(), False
    reported = len(oracle.end_order)
    while not over:
        time.sleep(0.2)
        over = oracle.end_announced and not oracle.tuner_ids
        for trial_id in oracle.end_order[reported:]:
            tuner.listener.trial_ended(oracle.trials[trial_id])
            reported += 1
        for worker in oracle.expired():
            # A worker with a trial is dropped when another takes over the trial.
            if worker not in oracle.ongoing_trials or oracle.end_announced:
                oracle.forget(worker)
        if set(oracle.heard) - set(oracle.expired()):
            alive = time.monotonic()
        if time.monotonic() - alive > cluster.patience:
            raise SearchError(
                f"No worker has sent a heartbeat for {cluster.patience:.0f} s; "
                f"{counted(len(oracle.end_order), 'trial')} ended. Run the same commands to resume."
            )


def _work(cluster, tuner, fit_arguments):
    import grpc

    _wait_for(cluster)
    tuner.oracle = service.RemoteOracle(tuner.own_oracle, cluster.chief, cluster.key)
    tuner.tuner_id = f"{cluster.name}@{tuner.own_oracle.search_id}"
    finished, lost = threading.Event(), threading.Event()

    def renew():
        """Sends heartbeats to the chief while this worker trains."""
        while not finished.wait(min(10.0, cluster.lease / 5)):
            if tuner.current_trial is not None:
                with contextlib.suppress(grpc.RpcError):
                    tuner.oracle.get_trial(tuner.current_trial)

    def watch():
        """Stops the worker when the chief has been unreachable for too long."""
        answered = time.monotonic()
        while not finished.wait(min(2.0, cluster.patience / 5)):
            if _answers(cluster):
                answered = time.monotonic()
            elif time.monotonic() - answered > cluster.patience:
                lost.set()
                # Python drops an interrupt that arrives within a finalizer.
                while not finished.is_set():
                    _interrupt_main()
                    finished.wait(1.0)
                return

    for job in (renew, watch):
        threading.Thread(target=job, daemon=True).start()
    gone = f"The chief at {cluster.chief} does not answer. Restart it, then this worker."
    try:
        tuner.search(**fit_arguments)
    except grpc.RpcError as error:
        details = str(error.details())
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise SearchError(
                f"The chief at {cluster.chief} has a different secret. Set the same {SECRET} or "
                f"{SECRET_FILE} for both."
            ) from error
        if details.startswith("Exception calling application"):
            raise SearchError(f"The chief at {cluster.chief} failed. {details}") from error
        raise SearchError(gone) from error
    except KeyboardInterrupt:
        if lost.is_set():
            raise SearchError(gone) from None
        raise
    finally:
        finished.set()
        tuner.oracle.close()


def _interrupt_main():
    """Raises KeyboardInterrupt in the main thread, also while it sleeps or waits for a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        _thread.interrupt_main()


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
    """Returns the `tf.distribute` strategy over all devices of the process, `None` for one device.

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
