"""A real StableVideoDiffusionPipeline with random weights, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

FRAMES = 8
SIDE = 32


def tiny_orbit() -> StableVideoDiffusionPipeline:
    """FRAMES frames of SIDE pixels; the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNetSpatioTemporalConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            sample_size=SIDE // 2,
            in_channels=8,
            out_channels=4,
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            cross_attention_dim=32,
            num_attention_heads=8,
            projection_class_embeddings_input_dim=96,
            addition_time_embed_dim=32,
            num_frames=FRAMES,
        )
        vae = AutoencoderKLTemporalDecoder(
            block_out_channels=[32, 64],
            down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
            latent_channels=4,
        )
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                projection_dim=32,
                num_hidden_layers=1,
                num_attention_heads=4,
                image_size=224,  # the pipeline itself shrinks to it
                intermediate_size=37,
                patch_size=56,
            )
        )
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
    )
    extractor = CLIPImageProcessor(crop_size=224, size=224)
    return StableVideoDiffusionPipeline(vae, encoder.eval(), unet.eval(), scheduler, extractor)


def save_tiny_orbit(folder: Path) -> Path:
    tiny_orbit().save_pretrained(folder)
    return folder
