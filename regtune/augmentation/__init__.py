"""Augmentation of pictures in tensor code: every example of a batch with its own operation and strength.

A picture here is uint8 `levels` [C, H, W], 0 to 255, one channel (grey) or three (red, green, blue). Functions are
pure and take whole batches, [N, C, H, W]; parameters are per example, [N].
"""

from regtune.augmentation.apply import augmented, check_channels
from regtune.augmentation.magnitudes import Ranges, strengths
from regtune.augmentation.operations import OPERATIONS, Draws, Operation, draw_operations

__all__ = ["OPERATIONS", "Draws", "Operation", "Ranges", "augmented", "check_channels", "draw_operations", "strengths"]
