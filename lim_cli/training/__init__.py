"""One training loop, one task per model."""
