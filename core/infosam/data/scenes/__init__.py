"""Generated scenes: pictures of many kinds with exact object masks, made from a seed."""

from infosam.data.scenes.scene import Scene, make_scene, scenes

__all__ = ["Scene", "make_scene", "scenes"]
