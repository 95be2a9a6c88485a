"""SAM through the package segment-anything."""
