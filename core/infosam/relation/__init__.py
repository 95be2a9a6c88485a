"""Relations between mask tokens and image embeddings, which InfoSAM distils from teacher to student."""

from infosam.relation.base import Relation
from infosam.relation.build import build_relation, load_relation, save_relation
from infosam.relation.module import RelationModule, Residual

__all__ = ["Relation", "RelationModule", "Residual", "build_relation", "load_relation", "save_relation"]
