"""From a pool of examples to three splits: carved once and for all by a seed, checked, never copied."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from regtune.core.columns import Column
from regtune.core.errors import Refused, shown
from regtune.core.rng import Rng
from regtune.data._examples import Examples, beside, joined

MOST_NAMED = 12  # classes, in a line


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All examples of a data set, before they are split.

    `test` are those that its makers have set aside as the test split; None where there is no such split,
    and the test split is carved from `train` too. A `sealed` pool is what is left of one whose test examples were
    taken out of it: its splits have none. `names` are those of the classes, where they have any; `superclasses` say to
    which larger one each class belongs, by numbers from 0, where the makers say so; `others` are training examples of
    other classes, numbered from 0, where only some were asked for; `notes` say in a line each what was done with the
    data that a user may not expect. `columns` are those of a table, whose rows [N, columns, 1, 1] are as they were
    read, see `_encoding.encoded`; pictures have none.
    """

    train: Examples
    test: Examples | None
    classes: int
    sealed: bool = False
    names: tuple[str, ...] = ()
    superclasses: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    others: Examples | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The parts of a data set. `test` is None wherever the test split must not be seen.

    `names` are those of the classes, where they have any, `superclasses` as those of a `Pool`. Raises Refused for
    examples of a class of their own: it would be lost where splits are cut and joined, so that search would train on
    other pictures than confirm.

    `unlabelled` are pictures that are in none of the splits, where the training split leaves any; their labels are -1.
    They are for methods that need no labels, see `Regularizer.pretrain` and `Forward.unlabelled`. `others` are those
    of the `Pool`.

    `few` says that these are a few examples, to see whether training works at all or how long a step takes: what reads
    other data is to take as few of them.

    `columns` are those of a table, whose examples are features [N, F, 1, 1]; pictures have none.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    classes: int
    names: tuple[str, ...] = ()
    superclasses: tuple[int, ...] = ()
    unlabelled: Examples | None = None
    others: Examples | None = None
    few: bool = False
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        for part in (self.train, self.validation, self.test, self.unlabelled, self.others):
            if part is not None and type(part) is not Examples:
                raise Refused(
                    f"data: expected Examples as they are, given {type(part).__name__}; what changes pictures from one "
                    f"look to the next is a method, with the hook augment"
                )

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each part has."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: len(part) if part is not None else 0 for name, part in parts.items()}

    def without_test(self) -> Splits:
        """Return what search may see: neither the test examples nor, behind the others, their pictures."""
        seen = replace(self, test=None)
        if self.test is None or all(part.source is not self.test.source for part in (self.train, self.validation)):
            return seen
        parts = [part for part in (self.train, self.validation, self.unlabelled) if part is not None]
        everything = functools.reduce(joined, parts).compact()
        places = torch.split(torch.arange(len(everything)), [len(part) for part in parts])
        train, validation, *more = (everything.take(each) for each in places)
        return replace(seen, train=train, validation=validation, unlabelled=more[0] if more else None)

    def with_unlabelled(self, everything: Examples) -> Splits:
        """Return the splits with those of all these pictures that are in none of them as `unlabelled`.

        None where the splits have pictures of their own.
        """
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        own = [part.index for part in parts if part.source is everything.source]
        if self.train.source is not everything.source:
            return self
        left = torch.ones(len(everything.source), dtype=torch.bool)
        left[torch.cat(own)] = False
        index = everything.index[left[everything.index]]
        if not len(index):
            return self
        unknown = torch.full_like(index, -1)
        return replace(self, unlabelled=Examples(source=everything.source, index=index, labels=unknown))

    def member(self, place: int) -> Splits:
        """Return the splits of one of several members."""
        test = None if self.test is None else self.test.member(place)
        return replace(self, train=self.train.member(place), validation=self.validation.member(place), test=test)

    def to(self, device: torch.device) -> Splits:
        """Return the splits for a device, their pictures on it if they fit."""
        if device.type == "cpu":
            return self
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        resident = fits(sum(part.nbytes for part in parts), device)
        train, validation, *rest = (part.to(device, resident=resident) for part in parts)
        return replace(self, train=train, validation=validation, test=rest[0] if rest else None)

    def moved_like(self, before: Splits, moved: Splits) -> Splits:
        """Return the splits for the device to which `before` was `moved`, with its pictures if they are the same."""

        def part(mine: Examples | None, old: Examples | None, there: Examples | None) -> Examples | None:
            if mine is None or old is None or there is None:
                return None
            index = mine.index.to(there.index.device)
            return Examples(source=there.source, index=index, labels=mine.labels.to(there.labels.device))

        pairs = ((self.train, before.train), (self.validation, before.validation), (self.test, before.test))
        if any(one is not None and old is not None and one.source is not old.source for one, old in pairs):
            return self.to(moved.train.labels.device)
        train = part(self.train, before.train, moved.train)
        validation = part(self.validation, before.validation, moved.validation)
        if train is None or validation is None:
            raise ValueError("splits have training and validation examples")
        return replace(self, train=train, validation=validation, test=part(self.test, before.test, moved.test))


def splits_beside(members: Sequence[Splits]) -> Splits:
    """Return the splits of several members of a lane, see `Examples`; raises Refused where their sizes differ."""
    first = members[0]
    for other in members[1:]:
        if (other.counts, other.classes) != (first.counts, first.classes):
            raise Refused(
                f"lane: expected splits of the same sizes, given {first.counts} and {other.counts}; "
                f"train trials of other sizes in a lane of their own"
            )
    tests = [part.test for part in members if part.test is not None]
    return Splits(
        train=beside([part.train for part in members]),
        validation=beside([part.validation for part in members]),
        test=beside(tests) if tests else None,
        classes=first.classes,
        names=first.names,
        superclasses=first.superclasses,
        few=first.few,
        columns=first.columns,
    )


def placed(examples: Examples, device: torch.device) -> Examples:
    """Return examples for a device, their pictures on it if they fit."""
    return examples if device.type == "cpu" else examples.to(device, resident=fits(examples.nbytes, device))


def called(label: int, names: tuple[str, ...]) -> str:
    """Return how a class is called, by its number where it has no name."""
    return f"class {shown(names[label])[1:-1]}" if names else f"class {label}"


def named(names: tuple[str, ...]) -> str:
    """Return the names of all classes in brackets, of many the first; nothing where they have none."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f" ({', '.join(shown(name)[1:-1] for name in names[:MOST_NAMED])}{more})" if names else ""


def carve(everything: Examples, *, classes: int, sizes: tuple[int, ...], seed: int, where: str) -> list[Examples]:
    """Cut examples into consecutive parts of the given sizes, each with the classes in proportion.

    The order is a function of `seed` alone. Raises Refused where there are too few examples.
    """
    if sum(sizes) > len(everything):
        raise Refused(
            f"{where}: expected at most {len(everything)} examples in all, given {' + '.join(map(str, sizes))}; "
            f"lower train or validation"
        )
    shuffled = Rng(seed=seed).permutation("split", len(everything))
    labels = everything.labels[shuffled]
    position = torch.zeros(len(everything), dtype=torch.float64)
    for label in range(classes):
        members = (labels == label).nonzero()[:, 0]
        # Places of one class at equal distances in [0, 1): any stretch then holds its share of them.
        position[members] = (torch.arange(len(members)).double() + 0.5) / max(len(members), 1)
    order = shuffled[torch.argsort(position, stable=True)]
    return [everything.take(part) for part in torch.split(order[: sum(sizes)], list(sizes))]


def checked(splits: Splits, where: str, *, sealed: bool = False) -> Splits:
    """Return the splits of a data set if they are what a trial can be trained on; raises Refused.

    Those of a `sealed` pool have no test split.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    for name, part in parts.items():
        if part is None and name == "test" and sealed:
            continue
        if part is None:
            raise Refused(f"{where}: expected a {name} split, given none")
        if not len(part):
            raise Refused(f"{where}: expected {name} examples, given none; lower the sizes of the other splits")
        _check_shapes(part.source, part.index, part.labels, f"{where}: expected {name}")
        if not 0 <= int(part.labels.min()) <= int(part.labels.max()) < splits.classes:
            raise Refused(
                f"{where}: expected {name} labels from 0 to {splits.classes - 1}, "
                f"given {int(part.labels.min())} to {int(part.labels.max())}"
            )
        if part.source.shape[1:] != splits.train.source.shape[1:]:
            raise Refused(
                f"{where}: expected {name} images of the training images' shape {list(splits.train.source.shape[1:])}, "
                f"given {list(part.source.shape[1:])}"
            )
    labels = splits.train.labels
    if int(labels.min()) == int(labels.max()):
        only = called(int(labels[0]), splits.names)
        raise Refused(f"{where}: expected training examples of two classes or more, all are of {only}")
    return splits


def _check_shapes(source: Tensor, index: Tensor, labels: Tensor, expected: str) -> None:
    sound = source.ndim == 4 and index.shape == labels.shape and labels.ndim == 1 and labels.dtype == torch.int64
    if not sound or int(index.max()) >= len(source):
        raise Refused(
            f"{expected} images [N, C, H, W] and int64 labels [N], "
            f"given {list(source.shape)} and {labels.dtype} {list(labels.shape)}"
        )


SHARE = 4  # one trial's pictures take at most this part of the memory that is free when it starts


def resident(needed: int, free: int) -> bool:
    """Return whether pictures of `needed` bytes live on a device with `free` bytes: if they take a quarter of it.

    The rest is for weights, activations and the trials beside; each of those leaves less to the next, so
    that no number of them takes it all.
    """
    return needed * SHARE <= free


def fits(needed: int, device: torch.device) -> bool:
    """Return whether pictures of `needed` bytes are to live on a device; warns in one line where not."""
    free, _ = torch.cuda.mem_get_info(device)
    if resident(needed, free):
        return True
    warnings.warn(
        f"data: {needed / 1e6:.0f} MB of pictures are more than a quarter of the {free / 1e6:.0f} MB free on {device}; "
        f"they stay in main memory, and batches travel through pinned memory",
        stacklevel=2,
    )
    return False
