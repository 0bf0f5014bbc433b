import json

import numpy as np
import pytest

from keras_residual import analysis

NAMES = ("a", "b", "c", "d")


def test_it_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    labels, predicted = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    report = analysis.classification_report(labels, predicted, NAMES)
    expected = metrics.precision_recall_fscore_support(labels, predicted)
    np.testing.assert_allclose(report.precision, expected[0])
    np.testing.assert_allclose(report.recall, expected[1])
    np.testing.assert_allclose(report.f1, expected[2])
    np.testing.assert_array_equal(report.support, expected[3])
    np.testing.assert_array_equal(report.confusion, metrics.confusion_matrix(labels, predicted))
    assert report.macro_f1 == pytest.approx(np.mean(expected[2]))
    assert report.accuracy == pytest.approx((labels == predicted).mean())


def test_classes_that_are_never_there_or_never_given():
    report = analysis.classification_report([0, 0, 1], [0, 0, 0], NAMES[:3])
    np.testing.assert_array_equal(report.precision, [2 / 3, 0, 0])
    np.testing.assert_array_equal(report.recall, [1, 0, np.nan])
    assert report.macro_f1 == pytest.approx(0.4)
    assert json.loads(json.dumps(report.as_dict()))["classes"]["c"]["recall"] is None
    assert str(report).splitlines()[-1].split() == ["c", "0.0%", "-", "-", "0"]
    assert report.confusions() == [("b", "a", 1)]


def test_scores_are_taken_for_the_highest():
    report = analysis.classification_report([1], [[0.2, 0.8]], NAMES[:2])
    assert report.accuracy == 1


@pytest.mark.parametrize(
    "labels, predicted, names, message",
    [
        ([0, 1], [0], NAMES, "shapes"),
        ([], [], NAMES, "at least one"),
        ([0, 3], [0, 0], NAMES[:2], "name every class, 0 to 3"),
    ],
)
def test_arguments_that_do_not_fit(labels, predicted, names, message):
    with pytest.raises(ValueError, match=message):
        analysis.classification_report(labels, predicted, names)
