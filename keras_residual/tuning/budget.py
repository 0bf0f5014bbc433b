"""Upper bounds on a network's cost, checked before any weight is allocated."""

import dataclasses
from dataclasses import dataclass

from keras_residual import _checks

_UNITS = {
    "max_parameters": "trainable parameters",
    "max_macs": "multiply–accumulates",
    "max_file_size": "bytes of int8 LiteRT (estimated)",
    "max_latency_ms": "ms an example by LiteRT",
}
# A network so many times too slow by an estimate is not measured.
_HOPELESS = 3


@dataclass(frozen=True)
class Budget:
    """Upper bounds of a network's cost; `None` for no bound.

    Attributes:
        max_parameters: Trainable parameters.
        max_macs: Multiply–accumulates for one example.
        max_file_size: Bytes of the full-integer LiteRT file (8-bit weights for LSTM stacks),
            estimated from the parameters.
        max_latency_ms: Median time per example of that file in LiteRT's interpreter on this
            machine, with one thread.
    """

    max_parameters: int | None = None
    max_macs: int | None = None
    max_file_size: int | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_parameters", "max_macs", "max_file_size"):
            if getattr(self, name) is not None:
                _checks.integer(name, getattr(self, name), maximum=float("inf"))
        if self.max_latency_ms is not None:
            _checks.real("max_latency_ms", self.max_latency_ms, 1e-6, float("inf"))

    def objection(self, cost: "Cost") -> str | None:
        """Returns a message about the bound that is exceeded, or `None`."""
        for name, most in dataclasses.asdict(self).items():
            used = getattr(cost, name.removeprefix("max_"))
            if most is not None and used is not None and used > most:
                return f"{used:,.6g} {_UNITS[name]} exceed {name}={most:,.6g}"
        return None

    def hopeless(self, latency_ms: float) -> str | None:
        """Returns a message if an estimate of the latency is far beyond its bound, or `None`."""
        if self.max_latency_ms is None or latency_ms <= _HOPELESS * self.max_latency_ms:
            return None
        unit, most = _UNITS["max_latency_ms"], self.max_latency_ms
        return f"some {latency_ms:.2g} {unit} exceed max_latency_ms={most:,.6g}"

    def share(self, cost: "Cost") -> float:
        """Returns the largest ratio of a cost to its bound; above 1 the budget is exceeded."""
        parts = [
            getattr(cost, name.removeprefix("max_")) / most
            for name, most in dataclasses.asdict(self).items()
            if most is not None and name != "max_latency_ms"
        ]
        return max(parts, default=0.0)


@dataclass(frozen=True)
class Cost:
    """The cost of a network in the quantities of a budget; `None` where it is unknown."""

    parameters: int
    macs: int
    file_size: int | None = None
    latency_ms: float | None = None
