"""Loads GLBs in Blender and writes their vertices at given times, glTF axes, in Blender's vertex order.

blender --background --factory-startup --python blender_positions.py -- JOBS.json

JOBS.json: [{"model": "a.glb", "output": "a.json", "times": [0.0, ...]}, ...]
"""

from __future__ import annotations

import json
import sys

import bpy
import numpy

# Debian pairs Blender 3.4, whose importer says numpy.bool, with a numpy that has dropped that name.
if not hasattr(numpy, "bool"):
    numpy.bool = bool


def main() -> None:
    with open(sys.argv[-1]) as stream:
        jobs = json.load(stream)
    for job in jobs:
        with open(job["output"], "w") as stream:
            json.dump({"positions": positions(job["model"], job["times"]), "messages": []}, stream)


def positions(model: str, times: list[float]) -> list[list[float]]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=model, merge_vertices=False)
    scene = bpy.context.scene
    rate = scene.render.fps / scene.render.fps_base
    # The importer draws bones as spheres of its own, which belong to no scene.
    things = [item for item in scene.objects if item.type == "MESH"]
    found = []
    for time in times:
        frame = time * rate
        scene.frame_set(int(frame), subframe=frame - int(frame))
        graph = bpy.context.evaluated_depsgraph_get()
        # Of meshes that play one after the other, the one that is not shrunk to a point.
        evaluated = max(
            (thing.evaluated_get(graph) for thing in things), key=lambda t: abs(t.matrix_world.determinant())
        )
        world = [evaluated.matrix_world @ vertex.co for vertex in evaluated.data.vertices]
        # Blender is z-up; glTF (x, y, z) = Blender (x, z, -y).
        found.append([value for point in world for value in (point.x, point.z, -point.y)])
    return found


main()
