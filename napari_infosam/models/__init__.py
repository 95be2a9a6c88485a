"""Evented state of the plugin, free of Qt and napari."""
