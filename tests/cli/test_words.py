"""A network for words from the command line: train, evaluate, predict and export WAV files."""

import json

import numpy as np
import pytest

sf = pytest.importorskip("soundfile")
RATE = 8000


def tone(word, number):
    random = np.random.default_rng(number)
    time = np.arange(1200 + 50 * number) / RATE
    wave = np.sin(2 * np.pi * {"high": 1500, "low": 200}[word] * time) * random.uniform(0.1, 0.8)
    return (wave + 0.01 * random.normal(size=len(time))).astype("float32")


@pytest.fixture
def words(tmp_path):
    for word in ("high", "low"):
        (tmp_path / "words" / word).mkdir(parents=True)
        for number in range(10):
            sf.write(tmp_path / "words" / word / f"{number}.wav", tone(word, number), RATE)
    return tmp_path


def test_from_wav_files_to_words(words, run):
    made = run(
        "train --model res8_narrow --dataset words,seconds=0.2 --epochs 8 --batch-size 8 "
        "--output run --set augmentation=none"
    )
    assert made.exit_code == 0, made.output
    assert "0.2 s at 8,000 Hz" in made.output and "keras-residual predict run " in made.output
    # Recordings of another length are brought to the model's.
    measured = run("evaluate run/model.keras --dataset words --json")
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout)["report"]["accuracy"] == 1.0
    sf.write("long.wav", np.concatenate([tone("high", 8), tone("low", 8)]), RATE)
    heard = run("predict run words/high/1.wav long.wav --top 1")
    assert heard.exit_code == 0, heard.output
    lines = heard.output.splitlines()
    assert lines[0].startswith("words/high/1.wav: high ")
    assert [line[:16] for line in lines[1:3]] == ["long.wav, 0 s: h", "long.wav, 0.2 s:"]
    assert lines[-1].startswith("2 recordings in ")
    written = run("export run --data words --quantization int8 --output phone")
    assert written.exit_code == 0, written.output
    again = run("evaluate phone/model_int8.tflite --dataset words --json")
    assert json.loads(again.stdout)["report"]["accuracy"] == 1.0, again.output
    assert run("predict phone/model_int8.tflite words/low --top 1").output.count(": low ") == 10


def test_wrong_recordings_are_named(words, run, refused):
    run("train --model res8_narrow --dataset words,seconds=0.2 --epochs 1 --output run")
    bad = {
        "stereo": (np.zeros((900, 2), "float32"), RATE, "2 channels"),
        "empty": (np.zeros(0, "float32"), RATE, "is empty"),
        "nan": (np.full(900, np.nan, "float32"), RATE, "NaN"),
        "fast": (np.zeros(900, "float32"), 16000, "16,000 samples a second"),
    }
    for name, (samples, rate, words_of_error) in bad.items():
        sf.write(f"{name}.wav", samples, rate, subtype="FLOAT")
        message = refused(f"predict run {name}.wav")
        assert f"{name}.wav" in message and words_of_error in message
    (words / "text.wav").write_bytes(b"no sound")
    assert "text.wav is damaged" in refused("predict run text.wav")
    kept = run("predict run words/high/1.wav stereo.wav --skip-damaged --top 1")
    assert "1 recording in" in kept.output and "1 left out" in kept.output
    assert "--explain is for models that take pictures" in refused(
        "predict run words/high/1.wav --explain why"
    )
    assert "takes recordings of sound" in refused("train --model bcresnet1 --dataset digits")
