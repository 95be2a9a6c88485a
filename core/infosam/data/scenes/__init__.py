"""Generated scenes: pictures of many kinds with exact object masks, made from a seed."""

from infosam.data.scenes.scene import MIN_AREA, Scene, Scenes, draw_scenes, make_scene, scenes

__all__ = ["MIN_AREA", "Scene", "Scenes", "draw_scenes", "make_scene", "scenes"]
