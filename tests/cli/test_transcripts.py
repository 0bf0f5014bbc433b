"""Training, evaluation and prediction of transcripts from the command line."""

import json

import numpy as np
import pytest

RATE, TONES = 800, {"a": 60, "b": 150, "c": 300}
DRAW = np.random.default_rng(0)


def said(text):
    """Returns a waveform with a tone for each letter and silence for a space."""
    times = np.arange(160) / RATE
    parts = [
        np.sin(2 * np.pi * TONES[c] * times) * np.hanning(160) if c in TONES else 0 * times
        for c in text
    ]
    return np.concatenate([0 * times[:40], *parts, 0 * times[:40] + 1e-3]).astype("float32")


TEXTS = ["".join(DRAW.choice(list("abc "), 4)).strip() or "a" for _ in range(40)]


def npz(path, texts=TEXTS, **changes):
    waves = [said(text) for text in texts]
    offsets = np.cumsum([0, *map(len, waves)])
    arrays = {"audio": np.concatenate(waves), "offsets": offsets, "text": texts, "rate": RATE}
    np.savez(path, **{**arrays, **changes})


TRAIN = (
    "train --model ResidualLSTMTranscriber --dataset tones.npz --batch-size 8 --epochs {epochs} "
    "--output run"
)


def test_train_evaluate_and_predict(run, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    npz(tmp_path / "tones.npz")
    trained = run(TRAIN.format(epochs=1))
    assert trained.exit_code == 0, trained.output + trained.stderr
    assert "Held-out character error rate" in trained.output
    assert "epoch 1/1: character error rate " in trained.output
    assert "predict run RECORDINGS" in trained.output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    measured = run("evaluate run/model.keras --dataset tones.npz --output report")
    assert measured.exit_code == 0, measured.output + measured.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())["report"]
    assert report == result["report"]
    assert report["character_error_rate"] >= 0 and report["count"] == 8

    # The model's characters are those of its training, whatever the transcripts hold.
    npz(tmp_path / "other.npz", text=[text.replace("b", "z") for text in TEXTS])
    measured = run("evaluate run/model.keras --dataset other.npz --json")
    assert measured.exit_code == 0, measured.output + measured.stderr
    worst = json.loads(measured.output)["report"]["worst"]
    assert any("z" in pair["is"] for pair in worst)
    assert all(set(pair["heard"]) <= set("abc ") for pair in worst)

    soundfile.write(tmp_path / "one.wav", said("ab c"), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "two.wav", said("b"), RATE)
    heard = run("predict run one.wav two.wav --json")
    assert heard.exit_code == 0, heard.output + heard.stderr
    answers = json.loads(heard.output)
    assert [answer["recording"] for answer in answers] == ["one.wav", "two.wav"]
    assert all(set(answer["text"]) <= set("abc ") for answer in answers)
    written = run("export run --data tones.npz --output files")
    assert written.exit_code == 0, written.output + written.stderr
    again = run("predict files/model.tflite one.wav two.wav --json")
    assert json.loads(again.output) == answers, again.output + again.stderr
    soundfile.write(tmp_path / "fast.wav", said("b"), 2 * RATE)
    assert "resample it" in run("predict run fast.wav").stderr
    (tmp_path / "empty.wav").write_bytes(b"")
    assert "empty.wav is damaged" in run("predict run empty.wav").stderr
    soundfile.write(tmp_path / "stereo.wav", np.stack([said("b")] * 2, 1), RATE)
    assert "2 channels" in run("predict run stereo.wav").stderr


@pytest.mark.slow
def test_a_table_of_sound_files(run, tmp_path):
    """`calls.csv` names files with their texts and says which are held out."""
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "calls").mkdir()
    lines = ["file,text,split"]
    for number, text in enumerate(TEXTS):
        soundfile.write(tmp_path / "calls" / f"{number}.wav", said(text), RATE, subtype="FLOAT")
        lines.append(f"calls/{number}.wav,{text},{'test' if number % 5 == 4 else 'train'}")
    (tmp_path / "calls.csv").write_text("\n".join(lines) + "\n")
    trained = run(TRAIN.format(epochs=1).replace("tones.npz", "calls.csv"))
    assert trained.exit_code == 0, trained.output + trained.stderr
    measured = run("evaluate run/model.keras --dataset calls.csv --json")
    assert measured.exit_code == 0, measured.output + measured.stderr
    report = json.loads(measured.output)["report"]
    assert report == json.loads((tmp_path / "run" / "result.json").read_text())["report"]
    assert report["count"] == 8 and report["character_error_rate"] >= 0
    heard = run("predict run calls/0.wav")
    assert heard.exit_code == 0 and "0.wav" in heard.output, heard.output + heard.stderr
    (tmp_path / "calls" / "7.wav").unlink()
    assert "7.wav" in run(TRAIN.format(epochs=1).replace("tones.npz", "calls.csv")).stderr


def test_other_networks_do_not_transcribe(refused, tmp_path):
    npz(tmp_path / "tones.npz")
    line = "train --model resnet1d --dataset tones.npz"
    message = refused(line)
    assert "`--model` must be 'ResidualLSTMTranscriber' for transcripts" in message
    assert "Received: --model resnet1d" in message


def test_transcribers_need_transcripts(refused, tmp_path):
    npz(tmp_path / "tones.npz", text=np.arange(40) % 2)
    line = (
        "train --model residuallstmtranscriber --dataset tones.npz,labels=text,label_kind=classes"
    )
    assert "needs recordings with transcripts" in refused(line)


def test_transcripts_longer_than_their_recordings(refused, tmp_path):
    texts = [*TEXTS[:-1], "a b" * 30]
    npz(tmp_path / "tones.npz", [*TEXTS[:-1], "a"], text=texts)
    message = refused(TRAIN.format(epochs=1))
    assert "recording" in message and "needs 90 steps, and 240 samples become 16" in message


def test_measures():
    from keras_residual.cli._transcripts import Transcripts

    found = Transcripts(["ab c", "abc"], ["ab  d", "abc"], 0.1)
    np.testing.assert_allclose(found.character_error_rate, 2 / 7)
    np.testing.assert_allclose(found.word_error_rate, 1 / 3)
    assert found.as_dict()["report"]["worst"] == [{"is": "ab c", "heard": "ab  d"}]


def test_a_search_has_no_transcripts(refused, tmp_path):
    npz(tmp_path / "tones.npz")
    assert "labels must be classes, several labels or numbers" in refused(
        "tune --model lstm --dataset tones.npz"
    )
