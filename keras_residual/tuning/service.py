"""The oracle of a search as a network service, and its proxy in a worker.

Calls are JSON over gRPC. Each is signed with the secret that the processes of a search share
(HMAC-SHA256 of method and content), so that the secret itself is never sent.
"""

import hashlib
import hmac
import json
from concurrent import futures

import keras_tuner
from keras_tuner.engine.trial import Trial

_SERVICE = "keras_residual.Search"
_SIGNATURE = "signature"
_METHODS = ("get_space", "update_space", "create_trial", "update_trial", "end_trial", "get_trial")
# Seconds: enough for the chief to compute its answer or to be restarted.
_TIMEOUT = 3600


def _signature(secret: str, method: str, content: bytes) -> str:
    message = method.encode() + b"\0" + content
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def serve(oracle, address: str, secret: str):
    """Serves calls until the returned server is stopped.

    Args:
        oracle: The oracle of the chief.
        address: `"HOST:PORT"` to listen on.
        secret: The shared secret of the search.

    Raises:
        RuntimeError: If the address cannot be bound.
    """
    import grpc

    # One thread, as Keras Tuner's locks identify threads by name. Without the option a second chief
    # would silently share the port.
    server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    calls = {
        method: grpc.unary_unary_rpc_method_handler(_answering(oracle, method, secret))
        for method in _METHODS
    }
    handler = grpc.method_handlers_generic_handler(_SERVICE, calls)
    server.add_generic_rpc_handlers((handler,))
    if not server.add_insecure_port(address):
        raise RuntimeError(f"{address} cannot be bound.")
    server.start()
    return server


def _answering(oracle, method, secret):
    """Returns the handler of a method; it rejects calls without a valid signature."""
    import grpc

    def answer(content, context):
        received = dict(context.invocation_metadata()).get(_SIGNATURE, "")
        expected = _signature(secret, method, content)
        if not hmac.compare_digest(str(received).encode(), expected.encode()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The signature is invalid.")
        return json.dumps(_call(oracle, method, json.loads(content))).encode()

    return answer


def _call(oracle, method, arguments):
    if method == "get_space":
        return oracle.get_space().get_config()
    if method == "update_space":
        space = keras_tuner.HyperParameters.from_config(arguments["space"])
        return oracle.update_space(space)
    if method == "end_trial":
        return oracle.end_trial(Trial.from_state(arguments["trial"]))
    return getattr(oracle, method)(**arguments).get_state()


class RemoteOracle:
    """The worker's proxy of the chief's oracle.

    Args:
        own: The worker's local oracle, which has the objective.
        address: `"HOST:PORT"` of the chief.
        secret: The shared secret of the search.
    """

    # Attributes of an oracle that Keras Tuner reads.
    multi_worker, should_report, verbose = False, True, 0

    def __init__(self, own, address: str, secret: str):
        import grpc

        self.objective, self.max_trials = own.objective, own.max_trials
        self.allow_new_entries, self.tune_new_entries = own.allow_new_entries, own.tune_new_entries
        self._channel, self._secret = grpc.insecure_channel(address), secret

    def close(self) -> None:
        self._channel.close()

    def save(self) -> None:
        """Does nothing; the chief saves the search."""

    def get_space(self):
        return keras_tuner.HyperParameters.from_config(self._ask("get_space"))

    def update_space(self, hyperparameters):
        self._ask("update_space", space=hyperparameters.get_config())

    def create_trial(self, tuner_id):
        return Trial.from_state(self._ask("create_trial", tuner_id=tuner_id))

    def update_trial(self, trial_id, metrics, step=0):
        metrics = {name: float(value) for name, value in metrics.items()}
        state = self._ask("update_trial", trial_id=trial_id, metrics=metrics, step=step)
        return Trial.from_state(state)

    def end_trial(self, trial):
        self._ask("end_trial", trial=trial.get_state())

    def get_trial(self, trial_id):
        return Trial.from_state(self._ask("get_trial", trial_id=trial_id))

    def _ask(self, method, **arguments):
        content = json.dumps(arguments).encode()
        call = self._channel.unary_unary(f"/{_SERVICE}/{method}")
        metadata = ((_SIGNATURE, _signature(self._secret, method, content)),)
        answer = call(content, metadata=metadata, wait_for_ready=True, timeout=_TIMEOUT)
        return json.loads(answer)
