"""Layers, replicas, forward passes, and how a network ends."""
