"""Small models of the kinds that people deploy, each with few weights, from a fixed seed.

Every one takes pictures of 32 x 32 and gives three logits, where its line does not say otherwise. They show what a
`build` function looks like, and that the suite judges such a model rightly:
`vitgate check --case-file examples/gallery/vitgate.toml --case clip`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from timm.models.convnext import ConvNeXt
from timm.models.deit import VisionTransformerDistilled
from timm.models.efficientformer import EfficientFormer
from timm.models.levit import Levit
from timm.models.mobilevit import mobilevit_xxs
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

CLASSES = 3
PIXELS = 32


def seeded(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Give the model the same weights in every process, and other ones than those that libraries begin with.

    Fresh layer norms are ones and zeros, and a fresh head often is zero: a file could then mix them up unseen.
    """

    @wraps(build)
    def built() -> nn.Module:
        torch.manual_seed(0)
        model = build()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape))
            for name, buffer in model.named_buffers():
                if name.endswith(("running_mean", "running_var")):
                    buffer.add_(0.2 * torch.rand(buffer.shape))
        return model

    return built


@seeded
def torchvision_vit() -> nn.Module:
    """Torchvision's Vision Transformer: `nn.MultiheadAttention`, whose projections stay in float."""
    from torchvision.models.vision_transformer import VisionTransformer as TorchvisionViT

    return TorchvisionViT(
        image_size=PIXELS, patch_size=8, num_layers=2, num_heads=2, hidden_dim=64, mlp_dim=128, num_classes=CLASSES
    )


@seeded
def swin() -> nn.Module:
    """Timm's Swin: shifted windows, and tables of position that an index gathers."""
    return SwinTransformer(
        img_size=PIXELS, patch_size=4, window_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4), num_classes=CLASSES
    )


@seeded
def convnext() -> nn.Module:
    """Timm's ConvNeXt: convolutions by channel, and Linears on channels that come last."""
    return ConvNeXt(num_classes=CLASSES, depths=(1, 1, 1, 1), dims=(16, 24, 32, 48))


@seeded
def levit() -> nn.Module:
    """Timm's LeViT: batch norm after every Linear and convolution, and two heads that are averaged."""
    return Levit(
        img_size=PIXELS,
        num_classes=CLASSES,
        embed_dim=(32, 48),
        key_dim=8,
        depth=(1, 1),
        num_heads=(2, 3),
        stem_type="s16",
    )


@seeded
def mobilevit() -> nn.Module:
    """Timm's smallest MobileViT: blocks of MobileNet with batch norm, and transformers between them."""
    return mobilevit_xxs(num_classes=CLASSES)


@seeded
def efficientformer() -> nn.Module:
    """Timm's EfficientFormer: pooling in the place of attention, and a block of it at the end, for 224 x 224 alone."""
    return EfficientFormer(depths=(1, 1, 1, 2), embed_dims=(8, 16, 24, 32), num_vit=1, num_classes=CLASSES)


@seeded
def dinov2() -> nn.Module:
    """A Vision Transformer as DINOv2's: registers, layer scale, and a mask token that only training reads."""
    model: Any = VisionTransformer(
        img_size=PIXELS,
        patch_size=8,
        num_classes=CLASSES,
        embed_dim=48,
        depth=2,
        num_heads=2,
        reg_tokens=4,
        init_values=0.1,
    )
    model.mask_token = nn.Parameter(torch.zeros(1, 48))
    return model


@seeded
def distilled() -> nn.Module:
    """Timm's distilled DeiT: two heads, whose mean it returns."""
    return VisionTransformerDistilled(
        img_size=PIXELS, patch_size=8, num_classes=CLASSES, embed_dim=48, depth=2, num_heads=2
    )


class ClipBlock(nn.Module):
    """A block of CLIP's image encoder: `nn.MultiheadAttention`, and GELU as sigmoid(1.702 x) x."""

    def __init__(self, width: int, heads: int) -> None:
        """Make the layers."""
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [tokens, N, width] of the same."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.c_fc(self.ln_2(x))
        return x + self.c_proj(y * torch.sigmoid(1.702 * y))


class Clip(nn.Module):
    """An image encoder as CLIP's, and a classifier made of normalized embeddings of texts, kept as a buffer."""

    def __init__(self, width: int = 48, patch: int = 8) -> None:
        """Make the layers."""
        super().__init__()
        tokens = (PIXELS // patch) ** 2 + 1
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(tokens, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.Sequential(ClipBlock(width, 2), ClipBlock(width, 2))
        self.proj = nn.Parameter(torch.randn(width, 32) / 8)
        self.register_buffer("texts", nn.functional.normalize(torch.randn(32, CLASSES), dim=0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 [N, classes], of pictures float32 [N, 3, 32, 32]."""
        x = self.conv1(x).flatten(2).permute(2, 0, 1)
        first = self.class_embedding.expand(1, x.shape[1], -1)
        x = torch.cat([first, x]) + self.positional_embedding.unsqueeze(1)
        x = self.ln_post(self.blocks(self.ln_pre(x))[0]) @ self.proj
        return 20.0 * nn.functional.normalize(x, dim=-1) @ self.texts


clip = seeded(Clip)


class Logits(nn.Module):
    """A model of transformers that returns its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        """Make the layers."""
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 [N, classes]."""
        logits: torch.Tensor = self.model(x, return_dict=False)[0]
        return logits


@seeded
def transformers_vit() -> nn.Module:
    """A Vision Transformer of transformers, which can be traced, not scripted."""
    from transformers import ViTConfig, ViTForImageClassification

    return Logits(
        ViTForImageClassification(
            ViTConfig(
                image_size=PIXELS,
                patch_size=8,
                hidden_size=48,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=96,
                num_labels=CLASSES,
            )
        )
    )


@seeded
def single_logit() -> nn.Module:
    """One logit, whose sign is the label."""
    head = nn.Linear(48, 1)
    nn.init.constant_(head.bias, 1.0)
    features = VisionTransformer(img_size=PIXELS, patch_size=8, num_classes=0, embed_dim=48, depth=2, num_heads=2)
    return nn.Sequential(features, head)


@seeded
def embedding() -> nn.Module:
    """An embedding for retrieval: the mean of the tokens, without a head."""
    return VisionTransformer(
        img_size=PIXELS, patch_size=8, num_classes=0, embed_dim=48, depth=2, num_heads=2, global_pool="avg"
    )


@seeded
def multilabel() -> nn.Module:
    """Four labels, each of which holds where its logit is positive."""
    return VisionTransformer(img_size=PIXELS, patch_size=8, num_classes=4, embed_dim=48, depth=2, num_heads=2)


class Several(nn.Module):
    """A Vision Transformer that returns its tokens beside its logits: as a tuple."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.vit = VisionTransformer(
            img_size=PIXELS, patch_size=8, num_classes=CLASSES, embed_dim=48, depth=2, num_heads=2
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens, float32 [N, tokens, width], and logits, float32 [N, classes]."""
        tokens = self.vit.forward_features(x)
        return tokens, self.vit.forward_head(tokens)


class Dictionary(Several):
    """The same as a dictionary, in which the logits come last."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `tokens`, `first` and `logits`, each by its name."""
        tokens = self.vit.forward_features(x)
        return {"tokens": tokens, "first": tokens[:, 0], "logits": self.vit.forward_head(tokens)}


several, dictionary = seeded(Several), seeded(Dictionary)


@seeded
def torchvision_swin() -> nn.Module:
    """Torchvision's Swin, which PyTorch cannot quantize so: its code reads the weight of a Linear as a tensor."""
    from torchvision.models.swin_transformer import SwinTransformer as TorchvisionSwin

    return TorchvisionSwin(
        patch_size=[4, 4], embed_dim=24, depths=[1, 1], num_heads=[2, 4], window_size=[4, 4], num_classes=CLASSES
    )
