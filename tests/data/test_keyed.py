"""The table of random draws."""

import itertools
import re
from pathlib import Path

import numpy as np

import keras_residual
from keras_residual.data import keyed

# Trainings that are resumed draw by these numbers: they may not change.
FROZEN = {
    "order": [-1],
    "shift_top": [0],
    "shift_left": [1],
    "flip": [2],
    "cutout_row": [3],
    "cutout_column": [4],
    "stream_buffer": [32, 33],
    "resized_crop": list(range(64, 87)),
    "mix_kind": [256],
    "mix_share": [257],
    "cutmix_row": [258],
    "cutmix_column": [259],
    "rand_augment": [512, 513],
}


def test_no_two_draws_share_a_number():
    numbers = list(itertools.chain(*keyed.DRAWS.values()))
    assert len(numbers) == len(set(numbers))
    assert all(len(draws) for draws in keyed.DRAWS.values())


def test_draws_in_use_keep_their_numbers():
    assert {name: list(keyed.DRAWS[name]) for name in FROZEN} == FROZEN


def test_every_random_number_in_data_comes_from_the_table():
    folder = Path(keras_residual.__file__).parent / "data"
    for path in folder.rglob("*.py"):
        calls = re.findall(r"random_integers\(((?:[^()]|\([^()]*\))*)\)", path.read_text())
        for call in calls:
            if path.name != "keyed.py":
                assert re.search(r"DRAWS|\bdraws?\b", call), f"{path.name}: {call}"


def test_different_draws_are_independent():
    index = np.arange(4000)
    drawn = [
        keyed.random_integers(2, 0, 0, index, draw)
        for draws in keyed.DRAWS.values()
        for draw in draws
    ]
    correlations = np.corrcoef(np.array(drawn)) - np.eye(len(drawn))
    assert abs(correlations).max() < 0.08
