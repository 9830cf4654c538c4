"""lim: animated, textured meshes from video of one moving object."""

__version__ = "0.1.0"
