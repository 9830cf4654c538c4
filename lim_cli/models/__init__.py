"""The paper's four networks and what they are made of."""
