"""What adapting sam_pocket to ten images of a real set gains there, and what it costs elsewhere.

INFOSAM_REAL_DATA=FOLDER python benchmarks/adapt_real.py [--store FILE] [--report FILE] [--dry-run] ...

Runs the recipe `adapt_real.toml` with `infosam benchmark`, whose options it takes: for each of four sets,
method and seed, ten images are adapted to as the Adapt button does it, and the adapted model is measured on
test images of that set, of the other three, and on generated scenes. What the store holds already is not run
again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infosam.cli.app import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", str(Path(__file__).with_suffix(".toml"))]
    main()
