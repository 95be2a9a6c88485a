"""Matrix-based Rényi entropy of a Gram matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infosam.types import BadInputError

_TINY = 1e-12  # guards the trace and the logarithm of an all-zero matrix
_SHANNON = 1e-6  # orders this close to 1 are Shannon's: there 1 / (1 - alpha) magnifies only rounding


def renyi_entropy(gram: Tensor, alpha: float = 2.0) -> Tensor:
    """Entropy S_alpha(G) = log2(sum_i lambda_i^alpha) / (1 - alpha), G being `gram` scaled to trace 1.

    InfoSAM (arXiv 2505.21920), Eq. 1, after Sánchez Giraldo et al. 2015. alpha = 2 needs no eigenvalues:
    S_2 = -log2 ||G||_F^2. alpha = 1 is Shannon's entropy. Differentiable, and unaffected by autocast.

    Args:
        gram: (n, n), symmetric and positive semi-definite; any positive trace.
        alpha: order, > 0.

    Returns:
        A scalar in [0, log2 n] bits.

    Raises:
        BadInputError: if `gram` is not a square matrix.
        ValueError: if alpha is not a positive, finite number.
    """
    return wide_entropy(gram, alpha).to(torch.promote_types(gram.dtype, torch.float32))


def wide_entropy(gram: Tensor, alpha: float) -> Tensor:
    """`renyi_entropy` before its float64 result is rounded: differences of entropies need it."""
    _check(gram, alpha)
    return _frobenius_entropy(gram) if alpha == 2 else _spectral_entropy(gram, alpha)


def _frobenius_entropy(gram: Tensor) -> Tensor:
    wide = gram.float() if gram.device.type == "mps" else gram.double()  # Apple's GPUs have no float64
    squared_norm: Tensor = _to_unit_trace(wide).square().sum()
    return -squared_norm.clamp_min(_TINY).log2()


def _spectral_entropy(gram: Tensor, alpha: float) -> Tensor:
    wide = gram.to("cpu", torch.float64)  # where a few rows are decomposed faster than on a GPU
    eigenvalues = torch.linalg.eigvalsh(_to_unit_trace((wide + wide.T) / 2))
    # Rounding of the input turns zero eigenvalues into +-1e-8: a fractional power of the negative ones is
    # NaN, and near alpha = 1 the positive ones dominate the gradient. They count as the zeros they stand for.
    eigenvalues = eigenvalues[eigenvalues > gram.shape[0] * torch.finfo(gram.dtype).eps]
    if abs(alpha - 1) < _SHANNON:
        entropy: Tensor = -(eigenvalues * eigenvalues.log2()).sum()
    else:
        entropy = eigenvalues.pow(alpha).sum().clamp_min(_TINY).log2() / (1 - alpha)
    return entropy.to(gram.device, torch.float32 if gram.device.type == "mps" else torch.float64)


def _to_unit_trace(gram: Tensor) -> Tensor:
    return gram / gram.trace().clamp_min(_TINY)


def _check(gram: Tensor, alpha: float) -> None:
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or gram.shape[0] == 0:
        raise BadInputError(f"a Gram matrix is square, (n, n), not {tuple(gram.shape)}")
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be a positive, finite number, not {alpha}")
