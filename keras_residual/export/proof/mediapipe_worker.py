"""A program that runs a LiteRT file in MediaPipe's tasks, as the apps on phones do.

Started as a script by an interpreter that has mediapipe:

    python mediapipe_worker.py MODEL.tflite TASK PICTURES.npz OUTPUTS.npz

It reads pictures, `(height, width, 3)` uint8, or waveforms, `(samples,)` float32, under the names
0, 1, …, and writes what the task answers under the same names: the score of every class, an
embedding, or a mask for each class. For waveforms the task is `audio@RATE`.
"""

import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python import audio as mediapipe_audio
from mediapipe.tasks.python.components import containers


def classifier(options):
    task = vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(options))

    def run(picture):
        found = task.classify(picture).classifications[0].categories
        scores = np.zeros(1 + max(category.index for category in found), np.float32)
        for category in found:
            scores[category.index] = category.score
        names[:] = [found[0].category_name or ""]
        return scores

    return run


def embedder(options):
    task = vision.ImageEmbedder.create_from_options(vision.ImageEmbedderOptions(options))
    return lambda picture: np.asarray(task.embed(picture).embeddings[0].embedding, np.float32)


def segmenter(options):
    made = vision.ImageSegmenterOptions(options, output_confidence_masks=True)
    task = vision.ImageSegmenter.create_from_options(made)

    def run(picture):
        masks = task.segment(picture).confidence_masks
        return np.stack([mask.numpy_view().squeeze() for mask in masks], -1)

    return run


def audio(options, rate):
    made = mediapipe_audio.AudioClassifierOptions(options)
    task = mediapipe_audio.AudioClassifier.create_from_options(made)
    kind = containers.AudioData

    def run(wave):
        heard = kind.create_from_array(np.ascontiguousarray(wave, np.float32), rate)
        found = task.classify(heard)[0].classifications[0].categories
        scores = np.zeros(1 + max(category.index for category in found), np.float32)
        for category in found:
            scores[category.index] = category.score
        return scores

    return run


TASKS = {"classifier": classifier, "embedder": embedder, "segmenter": segmenter}
names = []


def main(path, task, source, target):
    with open(path, "rb") as file:
        options = BaseOptions(model_asset_buffer=file.read())
    name, _, rate = task.partition("@")
    run = audio(options, int(rate)) if name == "audio" else TASKS[name](options)
    outputs = {}
    with np.load(source) as pictures:
        for name in pictures.files:
            pixels = np.ascontiguousarray(pictures[name])
            if pixels.ndim == 3:
                pixels = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            outputs[name] = run(pixels)
    np.savez(target, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
