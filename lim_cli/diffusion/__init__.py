"""Multi-view video diffusion: one clip in, three more synchronized views out (paper, section 3.3)."""
