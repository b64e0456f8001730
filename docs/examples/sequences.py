"""Sequences: what each character of a line of Python is, with padding that a mask leaves out.

`python docs/examples/sequences.py`
"""

import io
import keyword
import pathlib
import statistics
import tokenize

import comparison
import keras
import numpy as np

LENGTH, CHARACTERS = 48, 128
KINDS = ("space", "keyword", "name", "number", "string", "comment", "operator")
HARD = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(width):
    """Reads a line in both directions; padding, character 0, is masked."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,)),
            keras.layers.Embedding(CHARACTERS, width, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.GRU(width, return_sequences=True)),
            keras.layers.Dense(len(KINDS)),
        ]
    )


def kind_of(token):
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else "name"
    named = {tokenize.NUMBER: "number", tokenize.STRING: "string", tokenize.COMMENT: "comment"}
    return named.get(token.type, "operator")


def tagged_lines(source):
    """Yields (codes, kinds) of the lines that tokens fit into, arrays (LENGTH,), 0 behind them."""
    lines, tags = source.splitlines(), {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (first, start), (last, end) = token.start, token.end
        if first == last and token.string.strip():
            kinds = tags.setdefault(first, np.zeros(LENGTH, "int32"))
            kinds[start:end] = KINDS.index(kind_of(token))
    for number, kinds in tags.items():
        text = lines[number - 1]
        if len(text) <= LENGTH and text.isascii():
            codes = np.zeros(LENGTH, "int32")
            codes[: len(text)] = [ord(character) for character in text]
            yield codes, kinds


def of_module(name, count):
    """Lines of a module of the standard library that are not empty, drawn with a seed."""
    source = pathlib.Path(statistics.__file__).with_name(f"{name}.py").read_text("utf-8")
    codes, kinds = map(np.stack, zip(*tagged_lines(source), strict=True))
    chosen = np.random.default_rng(0).permutation(len(codes))[:count]
    return codes[chosen], kinds[chosen]


def splits():
    """Lines of three modules: 600 of one to learn from, 300 and 300 of others held out."""
    return {
        "train": of_module("argparse", 600),
        "validation": of_module("inspect", 300),
        "test": of_module("typing", 300),
    }


def accuracy(model, x, y):
    """Share of characters that are told right; padding is none."""
    return np.mean((model.predict(x, verbose=0).argmax(-1) == y)[x != 0])


def run(epochs=8, seeds=comparison.SEEDS):
    """Returns the numbers of docs/classifiers.md, see `comparison.compare`."""
    data = splits()
    keras.utils.set_random_seed(0)
    teacher = comparison.train_teacher(network(64), data["train"], HARD, 2 * epochs, 32, 3e-3)
    found = comparison.compare(
        teacher,
        lambda: network(8),
        data,
        HARD,
        [("kl:1", 0.9), ("kl:4", 0.9), ("mse", 0.9)],
        accuracy,
        epochs,
        seeds,
        batch_size=32,
        learning_rate=3e-3,
    )
    return {"teacher": float(accuracy(teacher, *data["test"])), **found}


if __name__ == "__main__":
    comparison.main(run)
