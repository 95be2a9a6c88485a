"""`infosam models`."""

from __future__ import annotations

from dataclasses import asdict

from infosam.cli.console import print_json, print_table
from infosam.cli.options import AsJson


def models(as_json: AsJson = False) -> None:
    """List the models: family, size, licence, and whether the weights are on this disk."""
    from infosam.models import registry

    infos = registry.infos()
    if as_json:
        print_json({"models": [asdict(info) for info in infos]})
        return
    rows = [
        (
            info.name,
            info.family,
            f"{info.parameters / 1e6:.1f} M",
            f"{info.bytes / 1e6:.0f} MB",
            info.licence,
            "yes" if info.on_disk else "no",
        )
        for info in infos
    ]
    print_table(("name", "family", "parameters", "download", "licence", "on disk"), rows)
