"""SAM, SAM 2 and the pocket model behind one interface."""
