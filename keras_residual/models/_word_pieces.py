"""Word pieces through the `tokenizers` library, with the special tokens that GNMT expects."""

from collections.abc import Iterable

from keras_residual import _checks

PAD, START, END, UNKNOWN = range(4)
_SPECIAL = ["[PAD]", "[START]", "[END]", "[UNK]"]


def from_texts(texts: Iterable[str], vocabulary_size: int):
    """Learns word pieces from texts.

    Args:
        texts: Strings, of one language or of both.
        vocabulary_size: Integer of at least 8, most pieces to learn, the four special tokens
            included: 0 is padding, 1 the start, 2 the end, 3 the unknown.

    Returns:
        A `tokenizers.Tokenizer` that encodes text to pieces without start and end and decodes
        pieces to text; its `save` writes it to a file.

    Raises:
        ImportError: If `tokenizers` is not installed.
        ValueError: If `vocabulary_size` is too small.
    """
    _checks.integer("vocabulary_size", vocabulary_size, minimum=8)
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError('Word pieces need: pip install "keras-residual[text]"') from error
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=_SPECIAL[UNKNOWN]))
    tokenizer.normalizer = tokenizers.normalizers.NFKC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocabulary_size, special_tokens=_SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
