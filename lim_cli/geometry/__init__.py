"""Meshes and what is done to them; knows no model."""
