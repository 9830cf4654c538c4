"""What a denoising step costs."""

from __future__ import annotations

from lim_cli.diffusion.configs import DenoiserConfig


def step_flops(options: DenoiserConfig, frames: int) -> tuple[int, int]:
    """Floating-point operations of (one denoising step, view 0 once per window) for one clip.

    Matrix products, attention and convolutions, two per multiply-add; the few thousand of the noise level and
    camera embeddings' own matrices included.
    """
    width, tokens, grid = options.width, options.tokens, options.grid
    full, rows = (options.depth + 1) // 2, options.depth // 2

    def trunk(images: int, seen_views: int) -> int:
        each = images * tokens
        linear = options.depth * (4 * width**2 + 3 * width * options.mlp_width) + rows * 4 * width**2
        attended = full * seen_views * tokens + rows * (seen_views * grid + frames)
        return 2 * each * linear + 4 * each * width * attended

    def embeddings(images: int) -> int:
        return 2 * images * (tokens * 4 * options.patch**2 * width + 256 * width + width**2 + 11 * width**2)

    made = frames * (options.views - 1)
    channels = 4 + options.detail
    head = 2 * made * options.image_size**2 * (channels * width + 9 * channels * (channels + 4))
    step = embeddings(made) + trunk(made, options.views) + head
    last = 2 * frames * tokens * (width**2 + 3 * width * options.mlp_width)  # only its keys and values are used
    if options.depth % 2:
        last += 4 * frames * tokens * width * tokens
    else:
        last += 2 * frames * tokens * 4 * width**2 + 4 * frames * tokens * width * (grid + frames)
    cameras = 2 * options.views * tokens * 6 * options.patch**2 * width
    return step, embeddings(frames) + trunk(frames, 1) - last + cameras
