"""`napari-infosam demo`: the whole loop in a real window, driven by real mouse and key events."""
