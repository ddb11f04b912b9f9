"""Blocks that several systems share. Called by their `network` modules."""

from models.networks.blocks import Conv, Down, Residual, Up
from models.networks.conv_lstm import ConvLSTM
from models.networks.discriminator import PatchDiscriminator

__all__ = ["Conv", "ConvLSTM", "Down", "PatchDiscriminator", "Residual", "Up"]
