"""What popular engines make of the kinds of GLB that `write_glb` writes.

Sources, by engine:

three.js and Blender: this project's own checks (tests/viewers) with three.js r170 and Blender 3.4; the extensions are
    listed in threejs.org/docs (GLTFLoader) and in Blender's manual (Import-Export: glTF 2.0).
Unity: features page of com.unity.cloud.gltfast, "the glTF 2.0 specification is fully supported";
    KHR_mesh_quantization is among its `ExtensionName` constants (glTFast issue 51).
Godot: `GLTFDocument.get_supported_gltf_extensions` as listed in godotengine/godot pull request 96251 (for 4.4) has no
    KHR_mesh_quantization; later development versions do. A file that requires an unknown extension is refused.
Unreal: `GLTF::FAsset::SupportedExtensions` in the 5.4 API reference has no KHR_mesh_quantization, and such files are
    refused (zeux/meshoptimizer issue 584).

None of the last three was run by us: what their own pages say is all that is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

QUANTIZATION = "KHR_mesh_quantization"


@dataclass(frozen=True)
class Engine:
    """tested: whether this project's own checks run it. lacks: features it is known to refuse, and since or until when."""

    name: str
    tested: bool
    lacks: dict[str, str]


ENGINES = (
    Engine("three.js r170", True, {}),
    Engine("Blender 3.4", True, {}),
    Engine("Unity glTFast 6", False, {}),
    Engine("Godot 4", False, {QUANTIZATION: "not up to 4.4"}),
    Engine("Unreal 5", False, {QUANTIZATION: "not up to 5.4"}),
)


def acceptance(features: tuple[str, ...]) -> dict[str, str]:
    """engine -> what it does with a file that uses `features`."""
    answers = {}
    for engine in ENGINES:
        missing = [f"no: {feature} {engine.lacks[feature]}" for feature in features if feature in engine.lacks]
        answers[engine.name] = "; ".join(missing) or ("yes, checked" if engine.tested else "yes, by its own pages")
    return answers
