"""Optimizers as functions of tensors. Imports core."""
