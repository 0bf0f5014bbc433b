"""Translation: GNMT with 8 residual LSTM layers against 8 and 2 plain ones, on program messages.

The pairs are the gettext catalogues (.mo) of one language in a folder, read by Babel, such as
GIMP's, English to German, which Debian ships in the package gimp-data:

    apt-get download gimp-data && dpkg-deb -x gimp-data_*.deb gimp
    pip install babel
    python examples/translation.py gimp/usr/share/locale --language de --units 64 --epochs 4

Each stack is trained on the same 5,521 pairs. This takes six minutes of CPU time on 2 cores. It
prints the perplexity of the word pieces of 613 held-out messages after each epoch (lower is
better):

       2 plain: 396.8  356.9  338.1  305.0
       8 plain: 402.7  363.5  331.2  315.3
    8 residual: 325.3  253.6  194.0  167.0

Then it prints translations of the last stack by beam search. After so short a training these are
little more than frequent words; with the default 128 units and 10 epochs, which take five times as
long, some fit the message ("Create a New Image": "Eine neue Bild erstellen").

Reference:
    - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), which trains on millions of sentences
"""

import argparse
import pathlib
import re
import time

import keras
import numpy as np
from common.kept import add_options, keep
from common.pictures import lines

from keras_residual import GNMT, training

STACKS = {"2 plain": (2, False), "8 plain": (8, False), "8 residual": (8, True)}
# Format directives, markup and lines of several sentences have rules of their own.
SPECIAL = re.compile(r"[%<>{}\n\\|@]")


def message_pairs(folder, language, most_words=8):
    """Returns the messages and their translations, each pair once, in a fixed order."""
    try:
        from babel.messages.mofile import read_mo
    except ImportError as error:
        raise ImportError("Catalogues are read by Babel: pip install babel") from error
    paths = sorted(pathlib.Path(folder).rglob(f"{language}/LC_MESSAGES/*.mo"))
    if not paths:
        raise SystemExit(f"No {language}/LC_MESSAGES/*.mo below {folder}")
    pairs = set()
    for path in paths:
        with path.open("rb") as file:
            messages = list(read_mo(file))
        for message in messages:
            pair = (message.id, message.string)
            if not all(isinstance(text, str) and text.strip() for text in pair):
                continue
            # An underscore marks the key that a menu entry is chosen by.
            pair = tuple(text.replace("_", "").strip(" .:…") for text in pair)
            if not any(SPECIAL.search(text) for text in pair) and all(
                0 < len(text.split()) <= most_words for text in pair
            ):
                pairs.add(pair)
    return sorted(pairs)


def encode(tokenizer, pairs):
    """Returns GNMT's inputs and labels: sources, and targets between start and end."""
    source, target = (tokenizer.encode_batch(list(texts)) for texts in zip(*pairs, strict=True))
    steps = max(len(row.ids) for row in source)
    target_steps = max(len(row.ids) for row in target) + 2
    sources = np.zeros((len(pairs), steps), np.int32)
    targets = np.zeros((len(pairs), target_steps), np.int32)
    for index, (left, right) in enumerate(zip(source, target, strict=True)):
        sources[index, : len(left.ids)] = left.ids
        targets[index, : len(right.ids) + 2] = [1, *right.ids, 2]
    return {"source": sources, "target": targets[:, :-1]}, targets[:, 1:]


def train(data, held_out, vocabulary, num_layers, residual, units, epochs, seed=0):
    """Returns the trained model and the perplexity of the held-out pieces after each epoch."""
    keras.utils.set_random_seed(seed)
    model = GNMT(
        vocabulary,
        units=units,
        num_layers=num_layers,
        first_residual=2 if residual else None,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3, clipnorm=1.0), loss)
    training.build(model, *keras.tree.map_structure(lambda part: part[:1], tuple(data)))
    history = model.fit(*data, validation_data=held_out, batch_size=64, epochs=epochs, verbose=0)
    return model, np.exp(history.history["val_loss"]).tolist()


def main(arguments=None):
    parser = add_options(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("folder", help="where the catalogues are, such as /usr/share/locale")
    parser.add_argument("--language", default="de")
    parser.add_argument(
        "--vocabulary", type=int, default=2000, help="word pieces of both languages"
    )
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--stacks", nargs="+", choices=STACKS, default=list(STACKS))
    parser.add_argument("--shown", type=int, default=10, help="translations to print")
    options = parser.parse_args(arguments)

    pairs = message_pairs(options.folder, options.language)
    order = np.random.default_rng(0).permutation(len(pairs))
    held_out = [pairs[i] for i in order[: len(pairs) // 10]]
    known = [pairs[i] for i in order[len(pairs) // 10 :]]
    print(f"{len(known)} pairs to learn from, {len(held_out)} held out")
    tokenizer = GNMT.tokenizer_from_texts((t for pair in known for t in pair), options.vocabulary)
    data = encode(tokenizer, known)
    held_out_data = encode(tokenizer, held_out)
    vocabulary = tokenizer.get_vocab_size()

    results, started = {}, (time.perf_counter(), time.process_time())
    for name in options.stacks:
        model, perplexities = train(
            data,
            held_out_data,
            vocabulary,
            *STACKS[name],
            options.units,
            options.epochs,
            options.seed,
        )
        results[name] = perplexities
        print(f"{name:>10}: " + "  ".join(f"{value:.1f}" for value in perplexities), flush=True)
    seconds = [round(time.perf_counter() - started[0]), round(time.process_time() - started[1])]
    shown = held_out[: options.shown]
    found = model.translate([source for source, _ in shown], tokenizer, beam_size=4)
    translations = [
        {"message": source, "translation": translation, "people": target}
        for (source, target), translation in zip(shown, found, strict=True)
    ]
    for row in translations:
        print(f"  {row['message']} → {row['translation']}   (people: {row['people']})")
    if options.results:
        result = {"seconds": seconds[0], "processor_seconds": seconds[1], "pairs": len(known)}
        result |= {"perplexity": results, "translations": translations}
        keep(options.results, result, packages=("tokenizers",))
    if options.picture:
        lines(options.picture, results, "epoch", "perplexity of held-out messages")
    return results


if __name__ == "__main__":
    main()
