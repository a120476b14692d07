import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wider.native._softmax import ROWS, exponential, measure
from wider.native._vectors import LANES

VECTORS = (0,)


def measured(scores: np.ndarray, labels: np.ndarray) -> tuple[float, int, np.ndarray]:
    """What `measure` says of scores (classes, lanes), and the probabilities it leaves."""
    flat = np.ascontiguousarray(scores, np.float32).reshape(-1).copy()
    scratch, exponents = np.zeros((ROWS, LANES), np.float32), np.zeros(LANES, np.int32)
    padded = np.zeros(LANES, np.int64)
    padded[: len(labels)] = labels
    loss, hits = measure(VECTORS, flat, len(scores), padded, len(labels), scratch, exponents)
    return loss, hits, flat.reshape(scores.shape)


def test_the_exponential_is_that_of_the_processor_to_float32_rounding():
    values = np.linspace(-87, 0, 100_000, dtype=np.float32)
    expected = np.exp(values.astype(np.float64))
    exponential(values, np.zeros(len(values), np.int32))
    # Four units in the last place: the range reduction and the polynomial round a few times each.
    np.testing.assert_allclose(values, expected, rtol=4 * float(np.finfo(np.float32).eps))


def test_the_exponential_of_far_below_is_nothing_and_of_nan_is_nan():
    values = np.array([-1e30, -np.inf, -88, 0, np.nan], np.float32)
    exponential(values, np.zeros(5, np.int32))
    assert (values[:3] < 2e-38).all()
    assert values[3] == 1
    assert np.isnan(values[4])


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, LANES), st.floats(0.1, 50))
def test_loss_hits_and_probabilities_are_those_of_the_textbook(seed, classes, count, spread):
    generator = np.random.default_rng(seed)
    scores = (spread * generator.standard_normal((classes, LANES))).astype(np.float32)
    labels = generator.integers(0, classes, count)
    loss, hits, probabilities = measured(scores, labels)
    powers = np.exp(scores.astype(np.float64) - scores.max(0))
    expected = powers / powers.sum(0)
    # The difference to the maximum is rounded in float32; its error is the exponential's relative.
    rounding = float(np.finfo(np.float32).eps) * (8 + float(np.ptp(scores)))
    np.testing.assert_allclose(probabilities, expected, rtol=rounding, atol=1e-37)
    lanes = np.arange(count)
    own = scores.astype(np.float64)[labels, lanes] - scores.max(0)[:count]
    expected_loss = (np.log(powers.sum(0)[:count]) - own).sum()
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
    assert hits == (scores.argmax(0)[:count] == labels).sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_makes_the_loss_no_number(bad: float):
    scores = np.zeros((3, LANES), np.float32)
    scores[1, 0] = bad
    assert not np.isfinite(measured(scores, np.zeros(4, np.int64))[0])
