"""The tables of an annotation project."""
