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
    S_2 = -log2 ||G||_F^2. alpha = 1 is Shannon's entropy. Differentiable; computed in at least float32 and
    unaffected by autocast.

    Args:
        gram: (n, n), symmetric and positive semi-definite; any positive trace.
        alpha: order, > 0.

    Returns:
        A scalar in [0, log2 n] bits.

    Raises:
        BadInputError: if `gram` is not a square matrix.
        ValueError: if alpha is not a positive, finite number.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or gram.shape[0] == 0:
        raise BadInputError(f"a Gram matrix is square, (n, n), not {tuple(gram.shape)}")
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be a positive, finite number, not {alpha}")
    if gram.dtype in (torch.float16, torch.bfloat16):
        gram = gram.float()
    if alpha == 2:
        return _frobenius_entropy(gram)
    return _spectral_entropy(gram, alpha)


def _frobenius_entropy(gram: Tensor) -> Tensor:
    squared_norm: Tensor = _to_unit_trace(gram).square().sum()
    return -squared_norm.clamp_min(_TINY).log2()


def _spectral_entropy(gram: Tensor, alpha: float) -> Tensor:
    # A few rows are decomposed faster on the CPU, and Apple's GPUs have no float64.
    wide = gram.to("cpu", torch.float64)
    eigenvalues = torch.linalg.eigvalsh(_to_unit_trace((wide + wide.T) / 2))
    # Rounding of the input turns zero eigenvalues into +-1e-8: a fractional power of the negative ones is
    # NaN, and near alpha = 1 the positive ones would dominate the gradient. They count as the zeros that they
    # stand for.
    positive = eigenvalues > gram.shape[0] * torch.finfo(gram.dtype).eps
    eigenvalues = eigenvalues[positive]
    if abs(alpha - 1) < _SHANNON:
        entropy: Tensor = -(eigenvalues * eigenvalues.log2()).sum()
    else:
        entropy = eigenvalues.pow(alpha).sum().clamp_min(_TINY).log2() / (1 - alpha)
    return entropy.to(gram.device, gram.dtype)


def _to_unit_trace(gram: Tensor) -> Tensor:
    return gram / gram.trace().clamp_min(_TINY)
