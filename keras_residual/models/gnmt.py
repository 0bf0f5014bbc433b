"""Google's neural machine translation system: an encoder and a decoder of residual LSTM layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.adaptation import adapt, adaptations_of
from keras_residual.layers.lstm.attentive_residual_lstm import AttentiveResidualLSTM
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM
from keras_residual.layers.registration import registered
from keras_residual.models._beam_search import Hypothesis, Search, beam_search
from keras_residual.models._gnmt_decoding import Decoding, parts_of
from keras_residual.models._word_pieces import END, PAD, START, from_texts
from keras_residual.models.inputs import checked_name, checked_policy
from keras_residual.models.registry import builder


@builder(task="translation")
@registered
class GNMT(keras.Model):
    """Translates sequences of integers: encoder, additive attention, decoder.

    The encoder is a residual LSTM stack on a bidirectional bottom layer. The decoder's bottom layer
    attends to the encoder's outputs; all its layers take the context. Both have residual
    connections from the third layer on. The decoder starts from zeros. Token 0 is padding; a target
    begins with `start_token` and ends with `end_token`.

    It is trained with teacher forcing: the inputs are a source and a target without its last
    token, the labels are the target without its first. Padded steps do not count in the loss.

    Args:
        source_vocabulary_size: Integer of at least 4, number of source tokens with padding.
        target_vocabulary_size: The same for the target. Defaults to the source's.
        units: Positive integer, width of embeddings and layers. Defaults to `1024`.
        num_layers: Integer of at least 2, for both encoder and decoder. Defaults to `8`.
        first_residual: Index, from 0, of the first residual layer, at least `2`; `None` gives
            plain stacks. Defaults to `2`.
        dropout: Number in `[0, 1)`, fraction of each layer's inputs to drop. Defaults to `0.2`.
        start_token: Defaults to `1`.
        end_token: Defaults to `2`.
        name: Defaults to `"gnmt"`.
        dtype: Dtype policy or its name. Defaults to Keras' global one.

    Call arguments:
        inputs: `{"source": (batch, source steps), "target": (batch, target steps)}`, integers.

    Returns:
        Logits, `(batch, target steps, target_vocabulary_size)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> model = GNMT(source_vocabulary_size=50, units=8, num_layers=2)
    >>> tokens = keras.ops.ones((1, 5), "int32")
    >>> tuple(model({"source": tokens, "target": tokens}).shape)
    (1, 5, 50)

    Reference:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144); one softmax over the vocabulary, no
          training by expected reward, no quantization.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int | None = None,
        units: int = 1024,
        num_layers: int = 8,
        first_residual: int | None = 2,
        dropout: float = 0.2,
        start_token: int = START,
        end_token: int = END,
        name: str = "gnmt",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        source_size = _checks.integer("source_vocabulary_size", source_vocabulary_size, minimum=4)
        target_size = source_size
        if target_vocabulary_size is not None:
            target_size = _checks.integer("target_vocabulary_size", target_vocabulary_size, 4)
        units = _checks.integer("units", units)
        num_layers = _checks.integer("num_layers", num_layers, minimum=2)
        first_residual = _checks.integer_or_none("first_residual", first_residual, minimum=2)
        _check_tokens(start_token, end_token, target_size)
        policy = checked_policy(dtype)
        source_embedding = _embedding(source_size, units, policy, "source_embedding")
        target_embedding = _embedding(target_size, units, policy, "target_embedding")
        encoder = ResidualLSTM(
            units,
            num_layers,
            first_residual,
            bidirectional_bottom=True,
            dropout=dropout,
            return_sequences=True,
            dtype=policy,
            name="encoder",
        )
        decoder = AttentiveResidualLSTM(
            units, num_layers, first_residual, dropout, dtype=policy, name="decoder"
        )
        mixed = policy.compute_dtype != policy.variable_dtype
        classifier = keras.layers.Dense(
            target_size, dtype=policy.variable_dtype if mixed else policy, name="classifier"
        )
        source = keras.Input((None,), dtype="int32", name="source")
        target = keras.Input((None,), dtype="int32", name="target")
        memory = encoder(source_embedding(source))
        # Padding follows the end token, so the end token as an input must not count either.
        unended = ops.where(ops.equal(target, int(end_token)), PAD, target)
        outputs = classifier(decoder(target_embedding(unended), memory))
        super().__init__({"source": source, "target": target}, outputs, name=checked_name(name))
        self.source_embedding, self.target_embedding = source_embedding, target_embedding
        self.encoder, self.decoder, self.classifier = encoder, decoder, classifier
        self.start_token, self.end_token = int(start_token), int(end_token)
        self._config = {
            "source_vocabulary_size": source_size,
            "target_vocabulary_size": target_size,
            "units": units,
            "num_layers": num_layers,
            "first_residual": first_residual,
            "dropout": dropout,
            "start_token": self.start_token,
            "end_token": self.end_token,
            "name": name,
            "dtype": keras.dtype_policies.serialize(policy),
        }

    def search(
        self,
        source: Tensor,
        beam_size: int = 8,
        max_length: int | None = None,
        length_penalty: float = 0.2,
        coverage_penalty: float = 0.2,
    ) -> list[list[Hypothesis]]:
        """Returns the best translations of each source by beam search.

        score(Y, X) = log P(Y | X) / lp(Y) + cp(X, Y), lp(Y) = (5 + |Y|)^α / (5 + 1)^α, and
        cp(X, Y) = β Σ_i log min(Σ_j p_ij, 1), where p_ij is the attention of target token j to
        source token i and |Y| counts the end token.

        Args:
            source: `(sources, steps)`, integers, padded with 0.
            beam_size: Positive integer; `1` is greedy search. Defaults to `8`.
            max_length: Positive integer, maximal number of tokens of a translation, including the
                end token. Defaults to twice the steps of the source plus 8.
            length_penalty: Non-negative number α. Defaults to the paper's `0.2`.
            coverage_penalty: Non-negative number β. Defaults to the paper's `0.2`.

        Returns:
            For each source a list of at most `beam_size` hypotheses, best first, each with
            `tokens`, `score` and `log_probability`.

        Raises:
            ValueError: If an argument is out of range.
        """
        source = np.asarray(source)
        if source.ndim != 2 or source.shape[1] == 0 or not np.issubdtype(source.dtype, np.integer):
            raise ValueError(
                "`source` must be integers of shape (sources, steps). "
                f"Received: shape {source.shape}, {source.dtype}"
            )
        size = self.source_embedding.input_dim
        if source.size and not 0 <= source.min() <= source.max() < size:
            raise ValueError(
                f"`source` must be tokens from 0 to {size - 1}, the model's source vocabulary. "
                f"Received: tokens from {source.min()} to {source.max()}"
            )
        if max_length is None:
            max_length = 2 * source.shape[1] + 8
        search = Search(
            self.start_token,
            self.end_token,
            _checks.integer("beam_size", beam_size),
            _checks.integer("max_length", max_length),
            _checks.real("length_penalty", length_penalty, 0.0, float("inf"), open_end=True),
            _checks.real("coverage_penalty", coverage_penalty, 0.0, float("inf"), open_end=True),
        )
        if not len(source):
            return []
        # The step is compiled once per length, so lengths are rounded up to few values.
        source = np.pad(source, ((0, 0), (0, -source.shape[1] % 8)), constant_values=PAD)
        decoding = Decoding(self, source, beam_size)
        return beam_search(search, decoding.step, decoding.states, decoding.mask)

    def translate(
        self,
        texts: Sequence[str],
        tokenizer: Any,
        target_tokenizer: Any = None,
        **search_options: Any,
    ) -> list[str]:
        """Returns the best translation of each text, as text.

        Args:
            texts: Sequence of strings.
            tokenizer: A `tokenizers.Tokenizer` of the source language, or of both.
            target_tokenizer: The one of the target language. Defaults to `tokenizer`.
            **search_options: Arguments of `search`.

        Returns:
            A list of strings; the translation of an empty text is empty.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"`texts` must be a sequence of strings. Received: texts={texts!r}")
        source = encoded(tokenizer, texts)
        found = self.search(source, **search_options)
        best = [
            list(hypotheses[0].tokens) if hypotheses and row.any() else []
            for row, hypotheses in zip(source, found, strict=True)
        ]
        return (target_tokenizer or tokenizer).decode_batch(best)

    def parts(self) -> tuple[keras.Model, keras.Model]:
        """Returns the encoder and one step of the decoder as models, as `search` runs them.

        The encoder maps sources to memory and keys. The step takes tokens, the mask of the source
        (false at padding), memory, keys, and two states per layer, initially zeros; it returns the
        log-probabilities of the next tokens, the attention, and the next states.
        """
        return parts_of(self)

    tokenizer_from_texts = staticmethod(from_texts)

    def get_config(self) -> dict[str, Any]:
        adaptations = adaptations_of(self)
        return {**self._config, **({"adaptations": adaptations} if adaptations else {})}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "GNMT":
        config = dict(config)
        adaptations = config.pop("adaptations", {})
        model = cls(**config)
        adapt(model, adaptations)
        return model


def _check_tokens(start_token, end_token, target_size):
    tokens = range(1, target_size)
    for key, token in (("start_token", start_token), ("end_token", end_token)):
        if token not in tokens or isinstance(token, bool):
            raise ValueError(
                f"`{key}` must be an integer from 1 to {target_size - 1}. Received: {key}={token!r}"
            )
    if start_token == end_token:
        raise ValueError(
            "`end_token` must be another token than `start_token`. "
            f"Received: start_token={start_token!r}, end_token={end_token!r}"
        )


def _embedding(size, units, policy, name):
    return keras.layers.Embedding(
        size,
        units,
        # Vectors of norm about 1 at any width; Keras' default is far smaller for narrow models.
        embeddings_initializer=keras.initializers.VarianceScaling(
            1.0, "fan_out", "untruncated_normal"
        ),
        mask_zero=True,
        dtype=policy,
        name=name,
    )


def encoded(tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Returns the tokens of texts as one array, padded with 0."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    array = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int32)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array
