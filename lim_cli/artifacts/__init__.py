"""What stages hand to each other, on disk."""
