"""Relations between mask tokens and image embeddings, which InfoSAM distils from teacher to student."""

from infosam.relation.module import RelationModule, Residual

__all__ = ["RelationModule", "Residual"]
