from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vitgate.judge.blocks import part_ways, place_names


@pytest.fixture
def arrays() -> list[np.ndarray]:
    """What a network of four blocks gave for two pictures: embedding, blocks, logits."""
    random = np.random.default_rng(0)
    stream = [random.normal(size=(2, 5, 8))]
    for _ in range(4):
        stream.append(stream[-1] + 0.2 * random.normal(size=(2, 5, 8)))
    return [array.astype(np.float32) for array in [*stream, random.normal(size=(2, 10))]]


def noisy(arrays: list[np.ndarray], steps: list[float]) -> list[np.ndarray]:
    """Add noise that each place passes on to the next: `steps` are its standard deviations, the head's alone last."""
    random = np.random.default_rng(1)
    total, result = np.zeros_like(arrays[0]), []
    for array, step in zip(arrays[:-1], steps[:-1], strict=True):
        total = total + step * random.normal(size=array.shape).astype(np.float32)
        result.append(array + total)
    noise = steps[-1] * random.normal(size=arrays[-1].shape).astype(np.float32)
    return [*result, arrays[-1] + noise]


def test_places_have_the_names_of_timm() -> None:
    assert place_names(4) == ("patch_embed", "blocks.0", "blocks.1", "head")


@pytest.mark.parametrize("faulty", range(6))
@pytest.mark.parametrize("usual", [0.0, 1e-6])
def test_fault_is_located_at_its_block(arrays: list[np.ndarray], faulty: int, usual: float) -> None:
    steps = [usual] * 6
    steps[faulty] = 0.3 if faulty in (0, 5) else 0.1
    steps[5] = max(steps[5], 0.3 if faulty < 5 else 0.0)  # whatever is wrong shows in the logits
    found = part_ways(arrays, noisy(arrays, steps))
    assert found.first == place_names(6)[faulty]


@pytest.mark.parametrize("faulty", [1, 2, 3, 4])
def test_fault_is_located_among_quantization_noise(arrays: list[np.ndarray], faulty: int) -> None:
    steps = [0.0, 0.005, 0.005, 0.005, 0.005, 0.05]
    steps[faulty] = 0.08
    assert part_ways(arrays, noisy(arrays, steps)).first == place_names(6)[faulty]


def test_uniform_noise_has_no_clear_location(arrays: list[np.ndarray]) -> None:
    found = part_ways(arrays, noisy(arrays, [0.0, 0.005, 0.005, 0.005, 0.005, 0.03]))
    assert not found.clear
    assert str(found).startswith("no single place stands out")


def test_drifting_int8_variants_have_no_clear_location(arrays: list[np.ndarray]) -> None:
    drift = noisy(arrays, [0.0, 0.0001, 0.001, 0.004, 0.005, 0.02])
    assert part_ways(arrays, drift).clear
    assert not part_ways(arrays, drift, ordinary=30.0).clear


def test_first_non_finite_block_is_named(arrays: list[np.ndarray]) -> None:
    other = noisy(arrays, [0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    other[3][0, 0, 0] = np.nan
    found = part_ways(arrays, other)
    assert (found.first, found.factor) == ("blocks.2", math.inf)


def test_shape_mismatch_is_located_at_its_block(arrays: list[np.ndarray]) -> None:
    other = [*arrays[:2], arrays[2][:, :-1], *arrays[3:]]
    assert part_ways(arrays, other).first == "blocks.1"


def test_message_names_block_and_all_ratios(arrays: list[np.ndarray]) -> None:
    found = part_ways(arrays, noisy(arrays, [0.0, 0.0, 0.1, 0.0, 0.0, 0.3]))
    line = str(found)
    assert line.startswith("the two part ways at blocks.1 (SQNR in dB: patch_embed 200.0, blocks.0 200.0, blocks.1 ")
    assert line.count(", ") == 5


def test_unequal_numbers_of_blocks_are_refused(arrays: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="6 and 5 places"):
        part_ways(arrays, arrays[:-1])
    with pytest.raises(ValueError, match="^2 and 2 places: need equally many, at least 3$"):
        part_ways(arrays[:2], arrays[:2])


# One picture of two tokens, one number each: what two blocks add, and the head. Only the first token is wrong.
ADDED = [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]
OTHER = [[1.1, 1.0], [2.3, 2.0], [4.2, 4.0]]


def streams(added: Any, head: Any) -> Any:
    return [*np.cumsum(np.array(added, dtype=np.float32)[:, None, :, None], axis=0), np.array([head], np.float32)]


@pytest.mark.parametrize(("ordinary", "usual"), [(None, 0.09 / 8), (20.0, 0.01)])
def test_factor_is_new_noise_over_earlier_and_usual_noise(ordinary: float | None, usual: float) -> None:
    noise = [0.1**2 / 2, 0.3**2 / 8, 0.2**2 / 32, 0.2**2]  # to signal, of what each place adds; then the head's
    token, into_head = 0.1**2, (0.6 / 7) ** 2  # of the noisiest token of the embedding, and of the last block

    found = part_ways(streams(ADDED, [1.0, 1.0]), streams(OTHER, [1.2, 1.2]), ordinary=ordinary)

    assert found.own == pytest.approx([-10 * math.log10(value) for value in noise], abs=1e-3)
    assert found.sqnr[1] == pytest.approx(-10 * math.log10(0.4**2 / 18), abs=1e-3)
    assert found.first == "head"
    assert found.factor == pytest.approx(0.2**2 / (max(token, noise[1], into_head) + usual), rel=1e-4)


@pytest.mark.parametrize(("ordinary", "usual"), [(None, 0.1**2), (26.0, 10**-2.6)])
def test_a_noisy_token_of_the_embedding_counts_as_noise_of_the_embedding(ordinary: float | None, usual: float) -> None:
    found = part_ways(streams(ADDED, [1.0, 1.0]), streams([OTHER[0], *ADDED[1:]], [1.0, 1.0]), ordinary=ordinary)

    assert found.first == "patch_embed"
    assert found.factor == pytest.approx(0.1**2 / usual, rel=1e-4)


def test_head_is_compared_with_worst_earlier_block() -> None:
    other = [ADDED[0], [2.6, 2.0], ADDED[2]]  # the block's noise outweighs that of the last stream

    found = part_ways(streams(ADDED, [1.0, 1.0]), streams(other, [1.9, 1.9]), ordinary=20.0)

    assert found.factor == pytest.approx(0.9**2 / (0.6**2 / 8 + 0.01), rel=1e-4)


def test_one_block_is_enough_and_numbers_of_any_size_are_compared() -> None:
    reference, other = (streams(each[:2], [1.0, 1.0]) for each in (ADDED, OTHER))
    large = [[array * np.float32(1e25) for array in each] for each in (reference, other)]

    small, found = part_ways(reference, other), part_ways(*large)

    assert small.places == ("patch_embed", "blocks.0", "head")
    assert found.first == small.first
    assert found.factor == pytest.approx(small.factor, rel=1e-4)


def test_message_for_non_finite_values_lists_every_block(arrays: list[np.ndarray]) -> None:
    other = [array.copy() for array in arrays]
    other[2][0, 0, 0] = np.inf

    found = part_ways(arrays, other)

    assert (found.places, found.first, found.clear) == (place_names(6), "blocks.1", True)
    assert [math.isnan(value) for value in found.sqnr] == [False, False, True, False, False, False]
    assert [math.isnan(value) for value in found.own] == [False, False, True, True, False, False]


def test_tokens_are_compared_one_by_one() -> None:
    other = [[1.1, 1.05], *ADDED[1:]]  # of the noise of both, the first token's alone counts

    found = part_ways(streams(ADDED, [1.0, 1.0]), streams(other, [1.0, 1.0]), ordinary=20.0)

    assert (found.first, found.factor) == ("patch_embed", pytest.approx(0.1**2 / 0.01, rel=1e-4))


def test_error_of_last_block_is_used_for_head() -> None:
    added, other = [*ADDED, [-6.0, -6.0]], [*OTHER, [-6.0, -6.0]]  # what is left of the signal is 1

    found = part_ways(streams(added, [1.0, 1.0]), streams(other, [3.0, 3.0]), ordinary=20.0)

    assert (found.first, found.factor) == ("head", pytest.approx(2.0**2 / (0.6**2 + 0.01), rel=1e-4))


def test_head_is_compared_with_noise_of_last_block() -> None:
    other = [*ADDED[:2], [5.0, 4.0]]

    found = part_ways(streams(ADDED, [1.0, 1.0]), streams(other, [1.9, 1.9]), ordinary=20.0)

    assert (found.first, found.factor) == ("head", pytest.approx(0.9**2 / (1.0 / 32 + 0.01), rel=1e-4))


def test_noisy_token_of_last_block_excuses_noise_of_head() -> None:
    rng = np.random.default_rng(0)
    streams_of = [rng.normal(size=(1, 8, 16)) for _ in range(6)]
    reference = [*np.cumsum(streams_of, axis=0), rng.normal(size=(1, 10))]
    other = [*reference[:-2], reference[-2].copy(), reference[-1] * 1.1]
    other[-2][:, 3] *= 1.1  # one token of eight; the head sees it alone

    found = part_ways(reference, other, ordinary=60.0)

    assert found.first == "blocks.4"
    assert found.factor == pytest.approx(10 ** (-found.own[-2] / 10) / 1e-6, rel=1e-6)


def test_non_finite_block_keeps_other_ratios(arrays: list[np.ndarray]) -> None:
    broken = [array.copy() for array in arrays]
    broken[2][:] = np.nan

    found = part_ways(arrays, broken)

    assert (found.first, found.factor, found.places) == ("blocks.1", math.inf, place_names(len(arrays)))
    assert len(found.sqnr) == len(found.own) == len(arrays)
