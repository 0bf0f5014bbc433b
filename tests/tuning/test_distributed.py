"""A chief and workers as processes on loopback: killed, vanished, started again."""

import json
import signal
import socket
import threading
import time
import types

import grpc
import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial
from processes import completed, process, wait_until
from toy import ToySpace

from keras_residual import tuning
from keras_residual.tuning import distributed, service


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Processes:
    """The processes of one search; all are ended with the test."""

    def __init__(self, folder, trials, seconds, lease=3.0, patience=60.0):
        self.folder, self.running = folder, []
        self.arguments = ({"seconds": seconds}, {"max_trials": trials})
        self.cluster = {"chief": f"127.0.0.1:{free_port()}", "lease": lease, "patience": patience}

    def start(self, role, worker="", **options):
        # Workers share no folder with the chief.
        folder = self.folder / (worker or role)
        cluster = {**self.cluster, "role": role, "worker": worker}
        space, settings = self.arguments
        self.running.append(process(folder, space, {**settings, **options}, cluster))
        return self.running[-1]

    @property
    def ended(self):
        return completed(self.folder / "chief")

    def close(self):
        for process_ in self.running:
            process_.kill()
            process_.communicate()


@pytest.fixture
def processes(tmp_path):
    started = []

    def start(**options):
        started.append(Processes(tmp_path, **options))
        return started[-1]

    yield start
    for several in started:
        several.close()


def test_a_worker_killed_in_a_trial_loses_it_to_another(processes):
    several = processes(trials=8, seconds=0.4)
    chief, killed, other = (
        several.start("chief"),
        several.start("worker", "killed"),
        several.start("worker", "other"),
    )
    oracle = several.folder / "chief" / "search" / "oracle.json"

    def has_a_trial():
        return "killed" in json.loads(oracle.read_text())["ongoing_trials"]

    wait_until(lambda: oracle.exists() and has_a_trial(), chief, killed, other)
    killed.send_signal(signal.SIGKILL)
    assert other.wait(timeout=180) == 0
    assert chief.wait(timeout=60) == 0
    assert len(several.ended) == 8
    told = chief.stdout.read().splitlines()
    assert sorted(told) == [f"trial {number} COMPLETED" for number in range(8)]
    state = json.loads(oracle.read_text())
    assert sorted(state["end_order"]) == [str(number) for number in range(8)]
    assert not state["ongoing_trials"]


@pytest.fixture
def oracle(tmp_path):
    objective = keras_tuner.Objective("score", "max")
    return tuning.RandomSearch(ToySpace(), objective, directory=tmp_path, search_id="ours")


def test_calls_without_the_secret_are_refused(oracle, capfd):
    """Every method; with it, calls and answers keep all digits, and nothing else is printed."""
    address = f"127.0.0.1:{free_port()}"
    server = service.serve(oracle.own_oracle, address, "right")
    try:
        for secret in ("wrong", ""):
            remote = service.RemoteOracle(oracle.own_oracle, address, secret)
            trial = Trial(keras_tuner.HyperParameters(), "0", "COMPLETED")
            calls = [
                lambda remote=remote: remote.create_trial("one@ours"),
                lambda remote=remote: remote.get_trial("0"),
                lambda remote=remote: remote.update_trial("0", {"score": 1.0}),
                lambda remote=remote, trial=trial: remote.end_trial(trial),
                lambda remote=remote: remote.get_space(),
                lambda remote=remote, trial=trial: remote.update_space(trial.hyperparameters),
            ]
            for call in calls:
                with pytest.raises(grpc.RpcError) as refused:
                    call()
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            remote.close()
        assert not oracle.own_oracle.trials
        remote = service.RemoteOracle(oracle.own_oracle, address, "right")
        trial = remote.create_trial("one@ours")
        remote.update_trial(trial.trial_id, {"score": 1 / 3})
        trial.status = "COMPLETED"
        remote.end_trial(trial)
        (kept,) = oracle.own_oracle.trials.values()
        assert kept.score == 1 / 3 and kept.status == "COMPLETED"
        assert kept.hyperparameters.values == trial.hyperparameters.values
        remote.close()
    finally:
        server.stop(None).wait()
    assert capfd.readouterr().out == ""


def test_two_chiefs_do_not_share_an_address(oracle):
    address = f"127.0.0.1:{free_port()}"
    server = service.serve(oracle.own_oracle, address, "")
    try:
        with pytest.raises(RuntimeError):
            service.serve(oracle.own_oracle, address, "")
    finally:
        server.stop(None).wait()


def test_where_the_secret_comes_from(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="can be reached from other machines and needs a `secret`"):
        tuning.Cluster("chief", "0.0.0.0:8000")
    assert tuning.Cluster("chief").address == ("127.0.0.1", 8000)
    assert tuning.Cluster("chief", "[::1]:8000").key == ""
    monkeypatch.setenv("KERAS_RESIDUAL_SECRET", "of the environment")
    cluster = tuning.Cluster("chief", "0.0.0.0:8000")
    assert cluster.key == "of the environment" and "environment" not in repr(cluster)
    (tmp_path / "secret").write_text("of a file\n")
    monkeypatch.setenv("KERAS_RESIDUAL_SECRET_FILE", str(tmp_path / "secret"))
    assert tuning.Cluster("worker", "10.0.0.1:8000").key == "of a file"
    assert tuning.Cluster("worker", "10.0.0.1:8000", secret="given").key == "given"
    assert "given" not in repr(tuning.Cluster("worker", "10.0.0.1:8000", secret="given"))
    monkeypatch.setenv("KERAS_RESIDUAL_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="absent, cannot be read"):
        tuning.Cluster("worker", "10.0.0.1:8000")


def test_a_worker_ends_when_the_chief_is_gone(processes):
    several = processes(trials=50, seconds=0.2, patience=3.0)
    chief, worker = several.start("chief"), several.start("worker", "one")
    wait_until(lambda: several.ended, chief, worker)
    chief.send_signal(signal.SIGKILL)
    began = time.monotonic()
    stdout, _ = worker.communicate(timeout=120)
    assert worker.returncode == 1 and time.monotonic() - began < 60
    assert f"The chief at {several.cluster['chief']} does not answer" in stdout


def test_a_worker_ends_though_its_first_interrupt_is_lost(request):
    """As within a finalizer, where Python drops every exception; a sleep is interrupted too."""

    class Deaf:
        own_oracle, tuner_id = types.SimpleNamespace(search_id="s"), None
        interrupts, current_trial = 0, None

        def search(self):
            while self.interrupts < 2:
                try:
                    time.sleep(60)
                except KeyboardInterrupt:
                    self.interrupts += 1
            raise KeyboardInterrupt

    deaf = Deaf()
    vars(deaf.own_oracle).update(
        objective=None, max_trials=1, allow_new_entries=True, tune_new_entries=True
    )
    # Processes of pytest-xdist ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with socket.create_server(("127.0.0.1", 0)) as chief:
        address = f"127.0.0.1:{chief.getsockname()[1]}"
        cluster = tuning.Cluster("worker", address, patience=0.5)
        closing = threading.Timer(0.5, chief.close)
        closing.start()
        began = time.monotonic()
        with pytest.raises(tuning.SearchError, match="does not answer"):
            distributed.run(cluster, deaf)
        closing.join()
    assert deaf.interrupts == 2 and time.monotonic() - began < 20


def test_a_worker_of_another_search_gets_no_trial(tmp_path):
    space, objective = ToySpace(), keras_tuner.Objective("score", "max")
    tuner = tuning.RandomSearch(space, objective, directory=tmp_path, search_id="ours")
    oracle = tuner.own_oracle
    refusal = Trial.from_state(oracle.create_trial("one@theirs").get_state())
    assert not oracle.trials and not oracle.heard
    with pytest.raises(tuning.SearchError, match="The chief runs another search"):
        tuner.on_trial_begin(refusal)
    trial = Trial.from_state(oracle.create_trial("one@ours").get_state())
    tuner.on_trial_begin(trial)
    assert list(oracle.ongoing_trials) == ["one"] and space.objection(trial.hyperparameters) is None


def test_a_worker_thought_lost_comes_back_and_changes_nothing(tmp_path):
    options = {"directory": tmp_path, "search_id": "ours", "lease": 5.0}
    objective = keras_tuner.Objective("score", "max")
    oracle = tuning.RandomSearch(ToySpace(), objective, **options).own_oracle
    lost = Trial.from_state(oracle.create_trial("lost@ours").get_state())
    oracle.heard["lost"] -= 10.0
    other = Trial.from_state(oracle.create_trial("other@ours").get_state())
    assert lost.trial_id == other.trial_id and list(oracle.ongoing_trials) == ["other"]
    for trial, score in ((other, 0.9), (lost, 0.5)):
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    (kept,) = oracle.trials.values()
    assert kept.score == 0.9 and kept.metrics.get_history("score")[0].value == [0.9]
    assert oracle.end_order == [other.trial_id] and not oracle.ongoing_trials


@pytest.mark.slow
def test_a_worker_of_another_search_ends(processes):
    several = processes(trials=200, seconds=0.2)
    chief, worker = several.start("chief"), several.start("worker", "one")
    other = several.start("worker", "other", epochs=3)
    stdout, _ = other.communicate(timeout=180)
    assert other.returncode == 1 and "The chief runs another search" in stdout
    wait_until(lambda: several.ended, chief, worker)


@pytest.mark.slow
def test_a_worker_with_another_secret_ends(processes, monkeypatch):
    several = processes(trials=50, seconds=0.2)
    monkeypatch.setenv("KERAS_RESIDUAL_SECRET", "right")
    several.start("chief")
    monkeypatch.setenv("KERAS_RESIDUAL_SECRET", "wrong")
    stdout, _ = several.start("worker", "one").communicate(timeout=180)
    assert "has a different secret. Set the same KERAS_RESIDUAL_SECRET" in stdout


@pytest.mark.slow
def test_a_chief_killed_and_started_again_goes_on(processes):
    several = processes(trials=12, seconds=0.3, patience=60.0)
    chief, worker = several.start("chief"), several.start("worker", "one")
    wait_until(lambda: len(several.ended) >= 3, chief, worker)
    chief.send_signal(signal.SIGKILL)
    chief.communicate()
    before = several.ended
    worker.kill()
    chief, worker = several.start("chief"), several.start("worker", "one")
    assert worker.wait(timeout=180) == 0 and chief.wait(timeout=60) == 0
    after = several.ended
    assert len(after) == 12 and all(after[name] == before[name] for name in before)


@pytest.mark.slow
def test_a_chief_without_workers_ends(processes):
    several = processes(trials=5, seconds=30, lease=1.0, patience=3.0)
    chief, worker = several.start("chief"), several.start("worker", "one")
    wait_until(lambda: (several.folder / "chief/search/trial_0/trial.json").exists(), chief, worker)
    worker.kill()
    stdout, _ = chief.communicate(timeout=120)
    assert chief.returncode == 1 and "No worker has sent a heartbeat for 3 s" in stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"role": "boss", "chief": "a:1"}, "`role` must be one of 'chief', 'worker'"),
        ({"role": "chief", "chief": "a"}, '`chief` must be "HOST:PORT"'),
        ({"role": "chief", "chief": "a:99999"}, '`chief` must be "HOST:PORT"'),
        ({"role": "worker", "chief": "a:1", "worker": "chief2"}, "`worker` must be a name"),
        ({"role": "worker", "chief": "a:1", "worker": 2}, "`worker` must be a name"),
        ({"role": "worker", "chief": "a:1", "lease": 0}, "`lease` must be a number"),
        ({"role": "worker", "secret": " "}, "`secret` must be a non-empty"),
        ({"role": "worker", "secret": 3}, "`secret` must be a non-empty"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tuning.Cluster(**arguments)
