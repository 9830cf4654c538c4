"""Endless articulated objects from a seed: body plans, kinematics, and a signed-distance renderer."""
