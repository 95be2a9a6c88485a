"""SAM, SAM 2 and the pocket model behind one interface."""

from infosam.models.lean import lean

# It imports its predictor, that imports torchvision, and that torch's compiler: longer than torch itself, and
# all for nothing here.
lean("segment_anything")
