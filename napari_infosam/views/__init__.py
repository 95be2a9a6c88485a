"""Dumb widgets: value(), setValue() and *_requested signals."""
