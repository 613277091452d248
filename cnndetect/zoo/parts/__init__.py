"""Layers, losses and label maps that several families share."""
