"""Relations by name, and their weights on disk."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from infosam.relation.base import Relation
from infosam.relation.deep import DeepRelation
from infosam.relation.module import RelationModule, Residual
from infosam.relation.product import DotRelation, LinearRelation
from infosam.types import BadInputError, RelationName


def build_relation(name: RelationName, dim: int = 256, residual: Residual = "normalized") -> Relation:
    """A fresh relation of InfoSAM's Table 13, ready to train.

    Args:
        name: "attn-1" is InfoSAM's own; "dot" and "linear" take raw features in any case.
        dim: channels D of embedding and tokens.
        residual: see `RelationModule`.

    Raises:
        ValueError: the name is unknown, or a size is not allowed.
    """
    if name == "dot":
        return DotRelation(dim)
    if name == "linear":
        return LinearRelation(dim)
    if name == "attn-1":
        return RelationModule(dim, residual)
    if name in ("attn-3", "attn-5"):
        return DeepRelation(dim, residual, layers=int(name.removeprefix("attn-")))
    raise ValueError(f"relation must be dot, linear, attn-1, attn-3 or attn-5, not {name!r}")


def save_relation(relation: Relation, path: Path) -> None:
    """Write the weights as a safetensors file, which `load_relation` reads."""
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in relation.state_dict().items()}, path
    )


def load_relation(relation: Relation, path: Path) -> None:
    """Give `relation` the weights that another one of its kind was saved with.

    Raises:
        BadInputError: there is no such file, or it holds something else.
    """
    try:
        relation.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadInputError(
            f"{path} cannot be used as weights of this relation ({error}): give the relation.safetensors of "
            "an InfoSAM run with the same relation and a model of the same width"
        ) from error
