"""Two processes never write to one folder."""

import subprocess
import sys
import threading

import pytest
from training.tiny_training import fit, tiny_model

from keras_residual._locks import FolderInUseError, claimed

HOLD = """
import sys, time
from keras_residual._locks import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that writes to a folder."""
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLD, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout.readline() == "claimed\n"
    yield running
    running.kill()
    running.communicate()


def test_the_second_training_is_refused_in_one_line(tmp_path, holder):
    with pytest.raises(FolderInUseError, match="out is in use: another process") as caught:
        fit(tiny_model(), tmp_path / "out", epochs=1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    # However the other process ends, the folder is free afterwards.
    holder.kill()
    holder.wait()
    fit(tiny_model(), tmp_path / "out", epochs=1)
    assert (tmp_path / "out" / "model.keras").exists()
    assert not (tmp_path / "out" / ".lock").exists()


def test_a_thread_may_claim_its_folder_again_and_another_may_not(tmp_path):
    refused = []

    def other():
        try:
            with claimed(tmp_path):
                pass
        except FolderInUseError as error:
            refused.append(error)

    with claimed(tmp_path), claimed(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(refused) == 1
    with claimed(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_failed_block_gives_the_folder_free(tmp_path):
    with pytest.raises(KeyError), claimed(tmp_path):
        raise KeyError
    with claimed(tmp_path):
        pass
