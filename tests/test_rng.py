"""The generator is uniform, its streams are independent, and its draws are functions of their arguments.

Every draw is fixed by its arguments, so the p-values below never change from run to run: p > 1e-4 is stable.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from regtune.core.rng import Rng

P = 1e-4  # smallest p-value that counts as agreement
MANY = 1 << 18
STREAMS = [(0, 0, "s"), (1, 0, "s"), (123_456, 789, "step/mixup.0/lambda"), (2_000_000_000, 99_999, "init/head.weight")]
# Streams whose keys differ as little as possible, or that a weak hash of seed + step would confuse.
NEIGHBOURS = [
    ((5, 7, "a"), (6, 7, "a")),
    ((0, 0, "a"), (1, 0, "a")),
    ((5, 7, "a"), (5, 8, "a")),
    ((5, 7, "a"), (6, 6, "a")),
    ((5, 7, "a"), (7, 5, "a")),
    ((5, 7, "hidden0"), (5, 7, "hidden1")),
    ((5, 7, "x.a"), (5, 7, "x.b")),
]
WHOLE = st.integers(0, 2**31 - 1)
SHAPES = st.lists(st.integers(0, 5), max_size=3)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that share a busy core wait for each other: seven times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bits(seed: int, step: int, site: str, count: int = MANY) -> Tensor:
    return Rng(seed=seed, step=step).bits(site, (count,))


def word(number: int) -> Tensor:
    return torch.tensor(number, dtype=torch.int32)


def grid(draw: Callable[[Rng], Tensor], seeds: int, steps: int) -> Tensor:
    """Return what each of the first seeds and steps draws, [seeds, steps, ...]."""

    def one(seed: Tensor, step: Tensor) -> Tensor:
        return draw(Rng(seed=seed, step=step))

    rows = torch.vmap(torch.vmap(one, (None, 0)), (0, None))
    return rows(torch.arange(seeds, dtype=torch.int32), torch.arange(steps, dtype=torch.int32))


def flat(classes: Tensor, count: int) -> float:
    """Return the p-value of equal frequencies of the classes 0..count-1."""
    return float(stats.chisquare(torch.bincount(classes.flatten().long(), minlength=count).numpy()).pvalue)


def unrelated(a: Tensor, b: Tensor) -> bool:
    """Return whether words at equal places have no linear relation, no joint one, and no bits in common."""
    x, y = (((w.flatten() >> 8) & 0xFFFFFF).double() for w in (a, b))
    linear = abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])) < 4.5 / len(x) ** 0.5
    high, low = ((((w[0] & 15) << 4) | (w[1] & 15)) for w in ((a >> 28, b >> 28), (a, b)))
    return linear and flat(high, 256) > P and flat(low, 256) > P and balanced(a ^ b)


def balanced(words: Tensor) -> bool:
    """Return whether each of the 32 bits is set in half of the words, within 4.5 standard deviations."""
    set_ = torch.stack([((words >> place) & 1).double().mean() for place in range(32)])
    return bool((set_ - 0.5).abs().max() < 4.5 * 0.5 / words.numel() ** 0.5)


@pytest.mark.parametrize(("seed", "step", "site"), STREAMS)
def test_uniform_draws_follow_the_uniform_distribution(seed: int, step: int, site: str) -> None:
    noise = Rng(seed=seed, step=step)
    for draws in (noise.uniform(site, (MANY,)), noise.open_uniform(site, (MANY,))):
        assert stats.kstest(draws.double().numpy(), "uniform").pvalue > P
        assert flat(draws * 1000, 1000) > P


@pytest.mark.parametrize(("seed", "step", "site"), STREAMS)
def test_every_bit_and_byte_is_balanced(seed: int, step: int, site: str) -> None:
    words = bits(seed, step, site)
    assert balanced(words)
    assert all(flat((words >> place) & 255, 256) > P for place in (0, 8, 16, 24))


def test_the_first_words_of_many_seeds_and_steps_are_balanced_and_unrelated() -> None:
    words = grid(lambda noise: noise.bits("s", (2,)), 512, 512)
    first = words[..., 0]
    assert balanced(first)
    assert all(flat((first >> place) & 255, 256) > P for place in (0, 8, 16, 24))
    assert unrelated(first[1:], first[:-1])  # neighbouring seeds
    assert unrelated(first[:, 1:], first[:, :-1])  # neighbouring steps
    assert unrelated(first, words[..., 1])  # neighbouring draws


@pytest.mark.parametrize(("one", "other"), NEIGHBOURS)
def test_neighbouring_streams_are_unrelated(one: tuple[int, int, str], other: tuple[int, int, str]) -> None:
    assert unrelated(bits(*one), bits(*other))


@pytest.mark.parametrize(("one", "other"), [*NEIGHBOURS, (STREAMS[0], STREAMS[1]), (STREAMS[2], STREAMS[3])])
def test_no_stream_is_a_shifted_copy_of_another(one: tuple[int, int, str], other: tuple[int, int, str]) -> None:
    count, a, b = 1 << 16, bits(*one, count=1 << 16), bits(*other, count=1 << 16)
    # By chance 129 * 2**16 / 2**32 = 0.002 words agree.
    assert not any((a[lag:] == b[: count - lag]).any() or (b[lag:] == a[: count - lag]).any() for lag in range(65))


def test_streams_share_as_many_words_as_chance_says() -> None:
    words = grid(lambda noise: noise.bits("hidden", (1 << 16,)), 1, 64)
    shared = words.numel() - len(torch.unique(words))  # a stream has no word twice
    # 64 * 63 / 2 pairs share 2**32 / 2**32 words each; twice the spread of independent words is allowed.
    assert abs(shared - 2016) < 2 * 4.5 * 2016**0.5


def test_no_two_seeds_and_steps_have_the_same_stream() -> None:
    odd = torch.arange(1, 16, 2) * 0x9E3779B97F4A7C1 + 2  # 8 words -> 64 bits: no two of a million agree by chance
    names = (grid(lambda noise: noise.bits("s", (8,)), 20_000, 64).long() * (odd | 1)).sum(-1)
    found, times = torch.unique(names, return_counts=True)
    same = [divmod(int(place), 64) for place in (names.flatten() == found[times.argmax()]).nonzero()]
    assert len(found) == names.numel(), f"these (seed, step) draw the same numbers: {same}"


def test_normal_draws_follow_the_normal_distribution() -> None:
    assert stats.kstest(Rng(seed=1).normal("n", (MANY,)).double().numpy(), "norm").pvalue > P


@pytest.mark.parametrize("a", [0.05, 0.2, 1.0, 2.5, 50.0, 1000.0])
def test_gamma_draws_follow_the_gamma_distribution(a: float) -> None:
    draws = Rng(seed=2).log_gamma("g", a, (MANY,)).double().numpy()
    assert stats.kstest(draws, stats.loggamma(a).cdf).pvalue > P


@pytest.mark.parametrize("a", [1e-30, 1e-6, 1e-3])
def test_gamma_draws_of_tiny_parameters_are_finite_logarithms(a: float) -> None:
    assert Rng(seed=3).log_gamma("g", a, (MANY,)).isfinite().all()
    assert not Rng(seed=3).beta("b", a, a, (MANY,)).isnan().any()


@pytest.mark.parametrize(("a", "b"), [(0.05, 0.05), (0.2, 0.2), (1.0, 1.0), (2.5, 2.5), (50.0, 50.0), (0.2, 2.5)])
def test_beta_draws_follow_the_beta_distribution(a: float, b: float) -> None:
    draws, truth = Rng(seed=4).beta("b", a, b, (MANY,)).double().numpy(), stats.beta(a, b)
    assert draws.min() >= 0 and draws.max() <= 1
    assert abs(draws.mean() - truth.mean()) < 4.5 * truth.std() / MANY**0.5
    # Bins, because for small b many draws round to 1, where a test of a continuous distribution sees a jump.
    edges = np.unique([0.0, *np.clip(truth.ppf(np.linspace(0.02, 0.98, 49)), 0.0, 1 - 1e-5), 1.0])
    assert stats.chisquare(np.histogram(draws, edges)[0], np.diff(truth.cdf(edges)) * MANY).pvalue > P


@pytest.mark.parametrize("a", [0.05, 0.2, 1.0, 2.5, 50.0])
def test_the_variance_of_a_symmetric_beta_is_that_of_theory(a: float) -> None:
    squares = (Rng(seed=5).beta("b", a, a, (MANY,)).double() - 0.5).square()
    assert abs(float(squares.mean()) - 1 / (4 * (2 * a + 1))) < 4.5 * float(squares.std()) / MANY**0.5


class Extreme(Rng):
    """Noise whose words are the ends of what a word can be."""

    def bits(self, site: str, shape: Sequence[int]) -> Tensor:
        return torch.tensor([0, -1, 2**31 - 1, -(2**31)], dtype=torch.int32).repeat(*shape[:-1], 1)


def test_draws_are_in_range_at_the_ends_of_the_words() -> None:
    noise = Extreme(seed=0)
    uniform, open_ = noise.uniform("x", (4,)), noise.open_uniform("x", (4,))
    assert uniform.min() == 0 and uniform.max() == 1 - 2.0**-24
    assert open_.min() == 2.0**-24 and open_.max() == 1 - 2.0**-24
    assert noise.normal("x", (4,)).abs().max() < 6


@given(seed=WHOLE, step=WHOLE, shape=SHAPES, site=st.text(max_size=8), more=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_a_draw_is_a_function_of_seed_step_site_and_place(
    seed: int, step: int, shape: list[int], site: str, more: int
) -> None:
    drawn = Rng(seed=seed, step=step).bits(site, shape)
    assert list(drawn.shape) == shape and drawn.dtype == torch.int32
    for noise in (Rng(seed=word(seed), step=word(step)), Rng(seed=seed, step=word(step))):
        assert torch.equal(noise.bits(site, shape), drawn)
    longer = Rng(seed=seed, step=step).bits(site, (drawn.numel() + more,))
    assert torch.equal(longer[: drawn.numel()], drawn.flatten())


@given(members=st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=4), shape=SHAPES)
@settings(deadline=None, max_examples=40)
def test_a_member_under_vmap_draws_what_it_draws_alone(members: list[tuple[int, int]], shape: list[int]) -> None:
    seeds, steps = (torch.tensor(column, dtype=torch.int32) for column in zip(*members, strict=True))
    uniform = torch.vmap(lambda s, k: Rng(seed=s, step=k).uniform("x", shape))(seeds, steps)
    beta = torch.vmap(lambda s, k: Rng(seed=s, step=k).beta("x", 0.2, 0.2, shape))(seeds, steps)
    for place, (seed, step) in enumerate(members):
        noise = Rng(seed=seed, step=step)
        assert torch.equal(uniform[place], noise.uniform("x", shape))
        # Logarithms at another place of a vector register may differ in the last bit.
        torch.testing.assert_close(beta[place], noise.beta("x", 0.2, 0.2, shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_program_draws_what_an_eager_one_does(backend: str) -> None:
    def draw(seed: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        noise = Rng(seed=seed, step=step).at("method")
        return noise.uniform("x", (257, 5)), noise.beta("y", 0.2, 0.2, (64,))

    torch.compiler.reset()
    compiled = torch.compile(draw, fullgraph=True, backend=backend)
    for seed, step in ((1, 2), (2_000_000_000, 99_999)):
        uniform, beta = compiled(word(seed), word(step))
        noise = Rng(seed=seed, step=step).at("method")
        assert torch.equal(uniform, noise.uniform("x", (257, 5)))
        # Inductor fuses logarithms into one loop with its own rounding: equal to rounding, not in bits.
        torch.testing.assert_close(beta, noise.beta("y", 0.2, 0.2, (64,)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_lane_draws_what_an_eager_one_does(backend: str) -> None:
    draw = torch.vmap(lambda seed, step: Rng(seed=seed, step=step).at("method").uniform("x", (257, 5)))
    seeds = torch.tensor([1, 2_000_000_000, 7], dtype=torch.int32)
    torch.compiler.reset()
    compiled = torch.compile(draw, fullgraph=True, backend=backend)
    assert torch.equal(compiled(seeds, seeds * 3), draw(seeds, seeds * 3))


def test_names_keep_the_sites_of_users_apart() -> None:
    noise = Rng(seed=1)
    sites = [noise, noise.at("a"), noise.at("b"), noise.at("a").at("b"), noise.at("b").at("a")]
    for one, other in itertools.combinations([user.bits("x", (MANY,)) for user in sites], 2):
        assert unrelated(one, other)
    assert torch.equal(noise.at("a").bits("x", (9,)), noise.at("a").bits("x", (9,)))


@given(seed=WHOLE, count=st.integers(0, 300))
@settings(deadline=None, max_examples=60)
def test_a_permutation_holds_every_number_once(seed: int, count: int) -> None:
    drawn = Rng(seed=seed).permutation("p", count)
    assert drawn.dtype == torch.int64 and torch.equal(drawn.sort().values, torch.arange(count))


def test_every_order_of_four_comes_up_equally_often() -> None:
    orders = grid(lambda noise: noise.permutation("p", 4), 200, 200).flatten(0, 1)
    places = torch.unique((orders * torch.tensor([64, 16, 4, 1])).sum(1), return_inverse=True)[1]
    assert flat(places, 24) > P


def test_draws_live_on_the_device_that_was_named() -> None:
    for kind in ("cpu", "meta", "cpu"):
        assert Rng(seed=1, device=torch.device(kind)).bits("x", (11,)).device.type == kind


@pytest.mark.parametrize("count", [2, 14, 31])
def test_whole_numbers_below_are_equally_frequent(count: int) -> None:
    drawn = Rng(seed=3, step=1).below(count, "whole", (MANY,))
    assert int(drawn.min()) == 0
    assert int(drawn.max()) == count - 1
    assert flat(drawn, count) > P


@pytest.mark.parametrize("count", [2, 24, 300_000])
def test_places_are_equally_frequent_also_of_more_than_65536(count: int) -> None:
    drawn = Rng(seed=3, step=1).places(count, "place", (MANY,))
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < count
    cells = min(count, 24)
    assert flat(drawn * cells // count, cells) > P
    assert len(torch.unique(drawn)) > min(count - 1, 1 << 17), "none is out of reach"
    seeds = torch.tensor([4, 3], dtype=torch.int32)
    beside = torch.vmap(lambda seed: Rng(seed=seed, step=1).places(count, "place", (9,)))(seeds)
    assert torch.equal(beside[1], drawn[:9])


def test_the_host_sees_the_draws_of_a_trial_alone_and_none_of_a_lane() -> None:
    alone = Rng(seed=3, step=1, prefix="a/").host()
    assert alone is not None
    assert torch.equal(alone.bits("b", (9,)), Rng(seed=3, step=1, prefix="a/").bits("b", (9,)))
    assert Rng(seed=word(3), step=1).host() is None
