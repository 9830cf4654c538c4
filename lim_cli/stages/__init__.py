"""The steps from a clip to an animated mesh, and the chain that orders them."""
