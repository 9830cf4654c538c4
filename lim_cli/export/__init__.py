"""Writes tracked, textured meshes to files that other programs read."""
