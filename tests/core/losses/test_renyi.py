"""Matrix-based entropies: known values, agreement of the two paths, gradients, bad input."""

import math

import pytest
import torch

from infosam.losses import gram, renyi_entropy
from infosam.types import BadInputError

pytestmark = pytest.mark.usefixtures("single_thread")

ALPHAS = (0.5, 1.0, 1.01, 2.0, 3.0)


def random_gram(n=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return gram(torch.randn(n, 3 * n, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize(
    ("alpha", "bits"), [(1.01, 1.484517), (2, 1.395929), (3, 1.321928), (1, 1.485475), (1 + 1e-9, 1.485475)]
)
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_known_values(alpha, bits, scale):
    diagonal = scale * torch.diag(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    assert renyi_entropy(diagonal, alpha).item() == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_range_is_0_to_log2_n(alpha):
    assert renyi_entropy(torch.eye(8), alpha).item() == pytest.approx(3)
    assert renyi_entropy(torch.ones(8, 8), alpha).item() == pytest.approx(0, abs=1e-6)


def test_the_frobenius_path_equals_the_eigenvalue_path():
    matrix = random_gram()
    eigenvalues = torch.linalg.eigvalsh(matrix / matrix.trace())
    assert renyi_entropy(matrix).item() == pytest.approx(-math.log2(eigenvalues.square().sum()), abs=1e-12)


SPREADS = {"rank one": 0.0, "all but collapsed": 1e-3, "near collapse": 0.1, "random": None}


def rows_of(kind, dtype):
    """(8, 64) features: one row eight times, eight around one, or eight on their own."""
    generator = torch.Generator().manual_seed(3)
    shared, noise = (torch.randn(n, 64, generator=generator, dtype=torch.float64) for n in (1, 8))
    spread = SPREADS[kind]
    return (noise if spread is None else shared + spread * noise).to(dtype).requires_grad_()


def entropy_and_gradient(rows, alpha):
    entropy = renyi_entropy(gram(rows), alpha)
    return entropy.item(), torch.autograd.grad(entropy, rows)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", SPREADS)
@pytest.mark.parametrize("alpha", [1.01, 2, 3])
def test_gradients_are_finite_and_lead_up(alpha, kind, dtype):
    rows = rows_of(kind, dtype)
    entropy, gradient = entropy_and_gradient(rows, alpha)
    assert gradient.isfinite().all()
    if kind == "rank one":  # where all rows are one, nothing tells which way to part them
        assert gradient.abs().max() < 1e-3
        return
    ahead = rows + 1e-3 * gradient / gradient.abs().max()
    assert entropy_and_gradient(ahead, alpha)[0] > entropy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", SPREADS)
def test_both_paths_agree_at_2_with_their_gradients(kind, dtype):
    rows = rows_of(kind, dtype)
    frobenius, by_frobenius = entropy_and_gradient(rows, 2)
    spectral, by_eigenvalues = entropy_and_gradient(rows, 2 + 1e-9)
    assert frobenius == pytest.approx(spectral, abs=1e-6)
    torch.testing.assert_close(by_frobenius, by_eigenvalues, rtol=0, atol=1e-6)


def test_entropy_falls_with_its_order():
    entropies = [renyi_entropy(random_gram(), alpha).item() for alpha in (0.3, 0.999, 1, 1.01, 2, 5)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] > entropies[-1]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradients(alpha):
    features = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(
        lambda rows: renyi_entropy(gram(rows), alpha), features.requires_grad_(), atol=1e-7
    )


@pytest.mark.parametrize("alpha", [*ALPHAS, 0.1])
def test_a_rank_one_gram_in_float32_has_finite_gradients(alpha):
    rows = torch.randn(1, 7).expand(6, 7).clone().requires_grad_()
    entropy = renyi_entropy(gram(rows), alpha)
    entropy.backward()
    assert entropy.item() == pytest.approx(0, abs=1e-5)
    assert rows.grad is not None
    assert rows.grad.abs().max() < 1e-3


def test_autocast_changes_nothing():
    rows = 1 + 0.01 * torch.randn(4, 512, generator=torch.Generator().manual_seed(2))
    plain = renyi_entropy(gram(rows))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(renyi_entropy(gram(rows)), plain)


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
    ],
)
@pytest.mark.parametrize("alpha", [2, 3])
def test_dtypes(given, returned, alpha):
    assert renyi_entropy(torch.eye(3, dtype=given), alpha).dtype == returned


@pytest.mark.parametrize("alpha", [0, -1, math.nan, math.inf])
def test_orders_that_make_no_sense_are_quoted(alpha):
    with pytest.raises(ValueError, match=str(alpha)):
        renyi_entropy(torch.eye(2), alpha)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (0, 0), (1, 2, 2)])
def test_only_square_matrices(shape):
    with pytest.raises(BadInputError, match="square"):
        renyi_entropy(torch.ones(shape))
