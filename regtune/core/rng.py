"""Counter-based random numbers: every draw is a pure function of (seed, step, site).

Nothing is consumed and nothing is saved: draw 7 of a site is the same whether draws 0-6 were made or
not. So a resumed run equals an uninterrupted one, a trial does not depend on its neighbours, and all
arms of a sweep see the same initial weights, batch order and augmentation stream under one seed.

The hash is an integer mixer with two keys of 32 bits, each from its own mix of seed, step and site. One is
added to the counter, the other multiplies between two rounds: were it added too, streams would be
overlapping windows of one sequence. int32 arithmetic wraps around and is the same eager, compiled and
under vmap. Mixer constants: Chris Wellons, "Prospecting for Hash Functions" (2018), lowbias32. This is
noise for training, not cryptography.

Every place where a random stream begins, and its key. `seed` is a trial's own (those of a sweep: `sweep/seeds.py`; the
second training of a trial with retrain has -1 - seed), `split` the `split_seed` of its data, and `stream` is NAME/SEED
of a sweep, with `[search] stream` in place of its name where there is one.

    Rng: (seed, step, site)
    data/_splits.py                  split, 0, split                        which example is in which split
    data/synthetic.py                split, 0, pattern | speckle            pictures
    data/_corruption.py              split, 0, label_noise/...              wrong labels
    data/_corruption.py              split, 0, pixels/positions             one order of pixels for all pictures
    data/_corruption.py              split, block, pixels/SPLIT/...         pixels of one picture
    networks/_base.py                seed, 0, initial/PARAMETER             initial weights
    training/assembly.py                 seed, epoch, order/epoch               the order of the examples
    training/assembly.py             seed, epoch, order/sampler             the same, where classes are balanced
    training/assembly.py             seed, step, unlabelled/places          which pictures without labels a step sees
    training/train_step.py           seed, step, step/METHOD.N/...          what the N-th METHOD of a recipe draws
    training/train_step.py           seed, step, step/unlabelled/METHOD.N/...  the same, for pictures without labels
    training/train_step.py           0, 0, eval/METHOD.N/...                the same, in evaluation
    training/pretraining.py          a hash, 0, pretraining/...             what a method draws before it pretrains
    regularizers/_pretraining.py     a hash, epoch, {noise.prefix}order/...  the order of pictures in pretraining
    regularizers/_pretraining.py     a hash, step, {noise.prefix}step/...    what a method draws in pretraining
    studies/_noise.py                0, 0, {study}/...                      what a study draws
    Global states of torch, numpy and Python: use/seed/step, hashed by `global_rng.seed_all`
    training/build.py                pool/0/0                               the examples of a user's data set
    training/build.py                split/split/0                          its splits
    networks/_base.py                build/seed/0                           a network's own constructor
    training/assembly.py             begin/seed/0                           what is done before the first step
    training/pretraining.py          pretraining/a hash/0                   what is done before that, in pretraining
    training/lane.py                 step/seed/step                         a step, where there are plugins
    training/lane.py                 evaluation/seed/epoch                  an evaluation, likewise
    core/global_rng.py               lane/0/0                               to see that a lane draws nothing from them
    execution/rehearsal.py           rehearsal/1/0 | rehearsal/2/0          a rehearsed step
    networks/_foreign.py             pass/1/0 | pass/2/0                    whether a module draws by itself
    execution/rehearsal.py           build/1/0 | build/2/0                  networks that may be the same at any seed
    Of a sweep: a hash of the text
    samplers/_base.py                stream/ARM/NUMBER[/DRAW]               knobs, by Optuna's samplers
    samplers/paired.py               stream                                 knobs that arms share, by Sobol points
    samplers/qmc.py                  stream/ARM                             knobs, by Sobol points
    samplers/grid.py                 stream/ARM                             the order of the grid
    core/selection.py                control/[REPEAT/]ARM/NUMBER            trials that no pruner ends
    core/resampling.py               stream | stream/copy                   searches drawn again
    Of tables and figures: 0
    statistics/intervals.py          0                                      bootstrap
    statistics/crossed_bootstrap.py  0                                      bootstrap over seeds and test examples
    statistics/tuning.py             0                                      bands of tuning curves
    reports/figures/importance.py    0                                      random forests
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_M1, _M2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B9
_GAMMA_CANDIDATES = 8
_CPU = torch.device("cpu")


def _signed(word: int) -> int:
    word &= _MASK
    return word - (1 << 32) if word >> 31 else word


def _mix_host(word: int) -> int:
    """Mix one 32-bit word as a Python integer; equals `_mix` on int32 tensors."""
    word &= _MASK
    word = (word ^ (word >> 16)) * _M1 & _MASK
    word = (word ^ (word >> 15)) * _M2 & _MASK
    return word ^ (word >> 16)


def _mix(word: Tensor) -> Tensor:
    """Mix int32 words; `>>` is arithmetic in torch, so the sign bits are masked away."""
    word = (word ^ ((word >> 16) & 0xFFFF)) * _constant(_M1, word.device)
    word = (word ^ ((word >> 15) & 0x1FFFF)) * _constant(_M2, word.device)
    return word ^ ((word >> 16) & 0xFFFF)


def _constant(word: int, device: torch.device) -> int | Tensor:
    """Return 32 bits as a signed number: in a compiled program as a tensor.

    There, inside vmap, torch 2.14 rounds what a tensor of integers is multiplied by to a float32.
    """
    number = _signed(word)
    compiling = torch.compiler.is_compiling()
    return torch.full((), number, dtype=torch.int32, device=device) if compiling else number


def _crc(site: str) -> int:
    return zlib.crc32(site.encode())


# What `torch.compiler.assume_constant_result` does, without its two seconds of imports: a compiled
# program takes the hash of a site as a constant instead of looking into zlib.
_crc._dynamo_marked_constant = True  # type: ignore[attr-defined]  # functions take any attribute


def _counter(count: int, device: torch.device) -> Tensor:
    """0..count-1 as int32, only ever read."""
    if torch.compiler.is_compiling():  # the compiler does not look into caches, and warns of them
        return torch.arange(count, dtype=torch.int32, device=device)
    return _kept_counter(count, device)


@lru_cache(maxsize=256)
def _kept_counter(count: int, device: torch.device) -> Tensor:
    """Cached because a step asks for the same few sizes."""
    return torch.arange(count, dtype=torch.int32, device=device)


@dataclass(frozen=True, kw_only=True)
class Rng:
    """The random numbers of one step of one trial.

    `seed` and `step` are Python integers when a trial runs alone (the keys then cost nothing), or
    0-dim int32 tensors inside a lane or a compiled program; the draws are equal. `prefix` keeps the
    sites of one user apart from those of another: see `at`. `device` is where the draws live.
    """

    seed: int | Tensor
    step: int | Tensor = 0
    prefix: str = ""
    device: torch.device = _CPU

    def at(self, name: str) -> Rng:
        """Return the same generator with its sites below `name`."""
        return Rng(seed=self.seed, step=self.step, prefix=f"{self.prefix}{name}/", device=self.device)

    def host(self) -> Rng | None:
        """Return the same draws on the CPU, where looking at them waits for no device; None in a lane.

        A trial alone may decide by them what work to skip.
        """
        alone = isinstance(self.seed, int) and isinstance(self.step, int)
        return replace(self, device=_CPU) if alone else None

    def bits(self, site: str, shape: Sequence[int]) -> Tensor:
        """Return int32 words of all 32 bits, uniform over their range, of the given shape."""
        first, second = self._keys(_crc(f"{self.prefix}{site}"))
        words = _counter(math.prod(shape), self.device) + first
        words ^= (words >> 16) & 0xFFFF
        words *= _constant(_M1, self.device)
        words ^= (words >> 15) & 0x1FFFF
        words *= second | 1
        words ^= (words >> 16) & 0xFFFF
        words *= _constant(_M2, self.device)
        words ^= (words >> 15) & 0x1FFFF
        return words.view(tuple(shape))

    def uniform(self, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return float32 draws from [0, 1), on a grid of 2**-24."""
        return ((self.bits(site, shape) >> 8) & 0xFFFFFF).float() * 2.0**-24

    def below(self, count: int, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return whole numbers (int64) from 0 to count - 1, for a count of at most 2**16."""
        return ((self.bits(site, shape) >> 16) & 0xFFFF).long() * count >> 16

    def places(self, count: int, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return whole numbers (int64) from 0 to count - 1, for a count of at most 2**31."""
        return ((self.bits(site, shape) >> 1) & 0x7FFFFFFF).long() * count >> 31

    def open_uniform(self, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return float32 draws from (0, 1): the middles of 2**23 equal cells, so logs are finite."""
        return ((self.bits(site, shape) >> 9) & 0x7FFFFF).float() * 2.0**-23 + 2.0**-24

    def normal(self, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return standard normal float32 draws (inverse distribution function)."""
        normal: Tensor = torch.special.ndtri(self.open_uniform(site, shape))
        return normal

    def log_gamma(self, site: str, shape_parameter: float | Tensor, shape: Sequence[int] = ()) -> Tensor:
        """Return logarithms of Gamma(a, 1) draws for any a > 0, a a number or a 0-dim tensor.

        Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000), for a + 1, then
        Gamma(a) = Gamma(a + 1) * U**(1/a), in logarithms because draws for small a underflow. The
        first accepted of a fixed number of candidates is taken, so shapes stay static; that none is
        accepted has probability below 0.05**8, and then it is the first of all.
        """
        a = torch.as_tensor(shape_parameter, dtype=torch.float32, device=self.device)
        d = a + 1.0 - 1.0 / 3.0
        wide = (_GAMMA_CANDIDATES, *shape)
        x = self.normal(f"{site}.normal", wide)
        root = (1.0 + x / (9.0 * d).sqrt()).clamp_min(1e-30)
        log_v = 3.0 * root.log()
        u = self.open_uniform(f"{site}.accept", wide)
        accepted = u.log() < 0.5 * x.square() + d - d * root**3 + d * log_v
        ranks = torch.arange(_GAMMA_CANDIDATES, 0, -1, device=self.device).view(-1, *[1] * len(shape))
        first = (accepted * ranks).argmax(0, keepdim=True)
        boost = self.open_uniform(f"{site}.boost", shape).log() / a
        return d.log() + log_v.gather(0, first)[0] + boost

    def beta(self, site: str, a: float | Tensor, b: float | Tensor, shape: Sequence[int] = ()) -> Tensor:
        """Return float32 Beta(a, b) draws in [0, 1]; a, b > 0 are numbers or 0-dim tensors."""
        x = self.log_gamma(f"{site}.a", a, shape)
        return torch.sigmoid(x - self.log_gamma(f"{site}.b", b, shape))

    def permutation(self, site: str, count: int) -> Tensor:
        """Return the numbers 0..count-1 (int64) in random order."""
        return torch.argsort(self.bits(site, (count,)), stable=True)

    def _keys(self, site: int) -> tuple[int | Tensor, int | Tensor]:
        """Return the two 32-bit keys of a site of this step."""
        if isinstance(self.seed, int) and isinstance(self.step, int):
            stride = self.step * _GOLDEN
            first = _mix_host(_mix_host(self.seed + _mix_host(stride)) ^ site)
            second = _mix_host(_mix_host(_mix_host(self.seed ^ _M1) + stride) + site * _GOLDEN)
            return _signed(first), _signed(second)
        seed = torch.as_tensor(self.seed, dtype=torch.int32, device=self.device)
        strides = torch.as_tensor(self.step, dtype=torch.int32, device=self.device) * _constant(_GOLDEN, self.device)
        return (
            _mix(_mix(seed + _mix(strides)) ^ _constant(site, self.device)),
            _mix(_mix(_mix(seed ^ _constant(_M1, self.device)) + strides) + _constant(site * _GOLDEN, self.device)),
        )
