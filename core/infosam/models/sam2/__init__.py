"""SAM 2 through the package sam2."""
