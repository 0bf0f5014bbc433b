from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_residual.models import ResidualLSTMClassifier
from keras_residual.models.for_dataset import ACTIVATIONS, standardized
from keras_residual.models.sequences import SequenceOptions
from keras_residual.training import Recipe
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.file_size import lstm_file_size
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.named import multiples

_UNITS, _LAYERS = 128, 4
_GATES = 4


class HyperResidualLSTM(HyperNetwork):
    """A space of residual LSTM stacks that classify sequences.

    Its default is `ResidualLSTMClassifier(input_shape, classes=classes)`, four layers of 128 units
    with the residual sums of Wu et al., with the recipe `recipe`. Knobs are fixed, narrowed and
    left out as in `HyperResNet`.

    Knobs of the network: `num_layers`; `units`; `residual`, whether there are residual sums;
    `bidirectional_bottom`; `pooling`; `dropout`; `embedding_size` where there is a vocabulary.
    Knobs of training: as in `HyperResNet`, without `augmentation`.

    Args:
        input_shape: `(steps, features)`, or `(steps,)` for integers.
        vocabulary_size: For sequences of integers: how many there are. Defaults to `None`.
        max_macs: The most multiply–accumulates, those of the gates at every step and of the
            classifier.
        max_file_size: The most bytes of the LiteRT file with 8-bit weights (`"dynamic"`), by an
            estimate.
        max_latency_ms: The most milliseconds for one sequence by that file on this machine.
        **knobs: Those of `SearchSpace`.

    Example:

    >>> space = HyperResidualLSTM((64, 3), 5, max_parameters=100_000, units=[16, 32, 64])
    """

    sizes = ("num_layers", "units", "embedding_size")
    widths = ("units", "embedding_size")
    # Full-integer quantization would lose LiteRT's fused LSTM operations.
    quantization = "dynamic"

    def __init__(
        self,
        input_shape: Sequence[int | None],
        classes: int,
        vocabulary_size: int | None = None,
        recipe: Recipe | str = "quick",
        **knobs: Any,
    ):
        input_shape = SequenceOptions(input_shape, vocabulary_size).shape
        self.vocabulary_size = vocabulary_size
        bounds = [name for name in ("max_file_size", "max_latency_ms") if knobs.get(name)]
        if input_shape[0] is None and bounds:
            raise ValueError(
                "`max_file_size` and `max_latency_ms` need a fixed number of steps, as in LiteRT. "
                f"Received: input_shape={input_shape!r}"
            )
        architecture = [
            Knob("num_layers", (1, 2, 3, 4, 6, 8), _LAYERS),
            Knob("units", multiples(_UNITS), _UNITS),
            Knob("residual", (False, True), True),
            Knob("bidirectional_bottom", (False, True), False),
            Knob("pooling", ("last", "avg"), "last"),
            Knob("dropout", (0.0, 0.1, 0.2, 0.3), 0.0),
        ]
        if vocabulary_size is not None:
            architecture.append(Knob("embedding_size", multiples(_UNITS), _UNITS))
        super().__init__(input_shape, classes, architecture, recipe, **knobs)

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        names = ("num_layers", "units", "bidirectional_bottom", "pooling", "dropout")
        options = {name: values[name] for name in names}
        options["first_residual"] = "auto" if values["residual"] else None
        if self.vocabulary_size is not None:
            options["embedding_size"] = values["embedding_size"]
        return options

    def count(self, options: dict[str, Any]) -> Cost:
        """Counts 4·u·(n + u) weights, used once per step, and 4·u biases for each LSTM layer of u
        units over n features."""
        if options["bidirectional_bottom"] and options["num_layers"] == 1:
            raise ValueError("`bidirectional_bottom` needs `num_layers` of at least 2.")
        steps, cells = self.input_shape[0], self.cells(options)
        kernels = sum(_GATES * units * (features + units) for features, units in cells)
        biases = sum(_GATES * units for _, units in cells)
        classifier = options["units"] * self.classes
        embedding = 0
        if self.vocabulary_size is not None:
            embedding = self.vocabulary_size * options["embedding_size"]
        parameters = embedding + kernels + biases + classifier + self.classes
        # A vocabulary implies masks, which LiteRT's fused operation does not support.
        unrolled = steps if embedding else None
        size = lstm_file_size(cells, (embedding, classifier), unrolled)
        return Cost(parameters, (steps or 1) * kernels + classifier, size)

    def cells(self, options: dict[str, Any]) -> list[tuple[int, int]]:
        """Returns the features and units of each LSTM; a bidirectional layer counts as two."""
        features, units = self.input_shape[-1], options["units"]
        if self.vocabulary_size is not None:
            features = options["embedding_size"]
        cells = []
        for layer in range(options["num_layers"]):
            directions = 2 if layer == 0 and options["bidirectional_bottom"] else 1
            cells += directions * [(features, units)]
            features = directions * units
        return cells

    @property
    def builder(self) -> str:
        return ResidualLSTMClassifier.__name__

    def in_words(self, options: dict[str, Any]) -> str:
        layers = f"{options['num_layers']} x {options['units']}"
        extras = [
            "" if options["first_residual"] == "auto" else "plain",
            "bidirectional" if options["bidirectional_bottom"] else "",
            options["pooling"],
        ]
        return " ".join([layers, *filter(None, extras)])

    def network(self, options: dict[str, Any]) -> keras.Model:
        if self.labels in ACTIVATIONS:
            options = {**options, "classifier_activation": ACTIVATIONS[self.labels]}
        stack = ResidualLSTMClassifier(
            self.input_shape, self.vocabulary_size, classes=self.classes, **options
        )
        if self.standardization is None:
            return stack
        series = standardized(self.input_shape, *self.standardization)
        return keras.Model(keras.utils.get_source_inputs(series), stack(series), name=stack.name)
