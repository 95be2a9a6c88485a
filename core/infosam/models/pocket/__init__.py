"""The pocket model that ships with the package."""

from pathlib import Path

WEIGHTS = Path(__file__).with_name("sam_pocket.safetensors")
