"""Adapt promptable segmentation models to few labels (InfoSAM)."""
