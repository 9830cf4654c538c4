"""What popular engines make of the kinds of GLB that `write_glb` writes.

Sources, by engine:

three.js, Blender and Godot 3: this project's own checks (tests/viewers) run three.js r170, Blender 3.4 and Godot 3.2.3
    on every kind, but for Draco in Blender, whose importer reads it by a library that Debian leaves out. Godot 3 shows
    quantized files wrongly and reports errors on sparse accessors.
Unity: features page of com.unity.cloud.gltfast 6: "the glTF 2.0 specification is fully supported", which takes in morph
    targets, skins and sparse accessors; KHR_mesh_quantization is among its `ExtensionName` constants. Triangle strips
    came with 6.8 (atteneder/glTFast issue 316). The installation page asks for
    Draco for Unity where files are compressed by Draco.
Godot 4: `GLTFDocument` in godotengine/godot, modules/gltf reads morph targets, skins, sparse accessors and triangle
    strips; the list of `get_supported_gltf_extensions` in pull request 96251 (for 4.4) has no KHR_mesh_quantization,
    later development versions do. Draco is refused on purpose (pull request 56613). A file that requires an unknown
    extension is refused.
Unreal: the 5.4 API reference lists morph targets and skins in GLTFCore and Interchange, and neither
    KHR_mesh_quantization nor KHR_draco_mesh_compression in `GLTF::FAsset::SupportedExtensions`; such files are refused
    (zeux/meshoptimizer issue 584). Triangle strips are among its `FPrimitive::SupportedModes` from 5.4 on.

The last three were not run by us: no more is claimed than their own pages say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lim_cli.export.draco import DRACO

MORPH, SKIN, SPARSE, STRIPS = "morph targets", "skin", "sparse accessors", "triangle strips"
QUANTIZATION, UNLIT = "KHR_mesh_quantization", "KHR_materials_unlit"
KNOWN = (MORPH, SKIN, SPARSE, STRIPS, QUANTIZATION, UNLIT, DRACO)


@dataclass(frozen=True)
class Engine:
    """exceptions: what it does with the features it does not simply read."""

    name: str
    exceptions: dict[str, str] = field(default_factory=dict)


ENGINES = (
    Engine("three.js r170", {DRACO: "with DRACOLoader"}),
    Engine("Blender 3.4", {DRACO: "yes, but for Debian's"}),
    Engine("Unity glTFast 6", {STRIPS: "from 6.8", DRACO: "with Draco for Unity"}),
    Engine("Godot 3.2", {QUANTIZATION: "no", SPARSE: "no", DRACO: "no"}),
    Engine("Godot 4", {QUANTIZATION: "not up to 4.4", DRACO: "not up to 4.4"}),
    Engine(
        "Unreal 5",
        {QUANTIZATION: "not up to 5.4", SPARSE: "not stated", STRIPS: "from 5.4", DRACO: "not up to 5.4"},
    ),
)


def acceptance(features: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """engine -> feature -> "yes" or what it does instead, for those of `features` that are `KNOWN`."""
    judged = [feature for feature in features if feature in KNOWN]
    return {engine.name: {feature: engine.exceptions.get(feature, "yes") for feature in judged} for engine in ENGINES}
