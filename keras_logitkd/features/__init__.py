"""Distillation of more than logits: features, relations, gradients. One module a method."""
