"""Clips in and out: reading, mattes, cropping, writing. Knows no 3-D."""
