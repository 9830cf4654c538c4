"""How near a result is to the truth: images, geometry, motion."""
