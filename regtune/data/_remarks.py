"""What a user should know of his data before he believes an accuracy: pictures seen twice, classes that are unequal."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import torch
from torch import Tensor

from regtune.data._decode import SHALLOW
from regtune.data._examples import Examples, joined
from regtune.data._splits import MOST_NAMED, Pool, Splits, called

AT_ONCE = 1024  # pictures that are looked at
DARK = 0.1  # of the full level, that no pixel of nearly black pictures is above
UNEQUAL = 2  # times the smallest class, from where on the largest one is worth a word


def repeated(pool: Pool, splits: Splits) -> list[str]:
    """Return in a line each how many test pictures may be trained on, and how many have several classes.

    Pictures are the same if all their pixels are, rows of a table if all their features are. `splits` are those of the
    pool with the labels and pictures of the originals. Trained on may be whatever is no test example, since another
    split seed may choose it.
    """
    rest, test = _apart(pool, splits)
    seen, held = _digests(rest), [] if test is None else _digests(test)
    lines = []
    noun, alike = ("row", "value for value") if pool.columns else ("picture", "pixel for pixel")
    known = set(seen)
    if again := sum(digest in known for digest in held):
        lines.append(
            f"{again} of {len(held)} test {noun}s are training or validation {noun}s too, {alike}: accuracy "
            f"on them is no test; remove them on one side"
        )
    classes: dict[bytes, set[int]] = {}
    for digests, part in ((seen, rest), (held, test)):
        for digest, label in zip(digests, [] if part is None else part.labels.tolist(), strict=True):
            classes.setdefault(digest, set()).add(label)
    torn = [sorted(labels) for labels in classes.values() if len(labels) > 1]
    if torn:
        first, second = (called(label, pool.names) for label in min(torn)[:2])
        lines.append(
            f"{len(torn)} {f'{noun} is' if len(torn) == 1 else f'{noun}s are'} there under two classes or more, "
            f"{alike}, as {first} and {second}: no answer is right for both; keep the right ones"
        )
    return lines


def unequal_classes(splits: Splits) -> list[str]:
    """Return a line on the largest and the smallest class of the training examples, none where they are alike."""
    counts = splits.train.labels.bincount(minlength=splits.classes)
    most, least = int(counts.argmax()), int(counts.argmin())
    if int(counts[most]) <= UNEQUAL * int(counts[least]):
        return []
    total = len(splits.train)
    large, small = (f"{called(label, splits.names)} has {_percent(counts[label], total)}" for label in (most, least))
    return [
        f"classes are unequal: {large} of the training examples, {small}; accuracy counts examples, not classes "
        f"(metric = 'balanced_accuracy' does; balance in [training] has the rare ones count more)"
    ]


def untested(splits: Splits) -> list[str]:
    """Return a line on the classes of which the test split has no example, none where it has some of each."""
    if splits.test is None:
        return []
    counts = splits.test.labels.bincount(minlength=splits.classes)
    absent = [called(label, splits.names) for label in (counts == 0).nonzero()[:, 0].tolist()]
    if not absent:
        return []
    more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
    return [
        f"no test example is of {', '.join(absent[:MOST_NAMED])}{more}: accuracy on the test split says nothing of "
        f"{'it' if len(absent) == 1 else 'them'}; add examples, or leave the class out"
    ]


def nearly_black(splits: Splits, notes: Iterable[str] = ()) -> list[str]:
    """Return a line where training pictures are nearly black, or all of one level: as where they were scaled twice.

    Where one of the `notes` of their pool says why, it is that line.
    """
    whole = 255 if splits.train.source.dtype == torch.uint8 else 1
    ends = [torch.stack(torch.aminmax(part)).double() for part in splits.train.batches(AT_ONCE)]
    low, high = (float(end) for end in (min(low for low, _ in ends), max(high for _, high in ends)))
    if low == high:
        return [f"all pixels of the training pictures are {low:g}: there is nothing to learn from; look at the data"]
    if high > DARK * whole:
        return []
    return [note for note in notes if note.startswith(SHALLOW)] or [
        f"training pictures are nearly black: the largest value of all is {high:g} of {whole}; were they scaled down "
        f"twice, or made integers behind it? scale them up to {whole}"
    ]


def _percent(count: Tensor, total: int) -> str:
    return f"{100 * int(count) / total:.3g} % ({int(count)})"


def _apart(pool: Pool, splits: Splits) -> tuple[Examples, Examples | None]:
    """Return all examples that some split may train on, and the test examples."""
    test = splits.test
    if splits.train.source is not pool.train.source:  # a data set that makes its pictures with its splits
        return joined(splits.train, splits.validation), test
    if test is None or test.source is not pool.train.source:
        return pool.train, test
    free = torch.ones(len(pool.train.source), dtype=torch.bool)
    free[test.index] = False
    return pool.train.take(free[pool.train.index].nonzero()[:, 0]), test


def _digests(examples: Examples) -> list[bytes]:
    pictures = examples.source.numpy()
    return [blake2b(pictures[row].tobytes(), digest_size=16).digest() for row in examples.index.tolist()]
