"""napari plugin: prompt masks with SAM and SAM 2, correct them, and adapt the model to them by InfoSAM."""
