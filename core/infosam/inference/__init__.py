"""Answers of a model: prompts to masks, cached embeddings, evaluation, adapter files."""
