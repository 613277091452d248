"""From pixels to network input: preprocessing, training augmentation, degradations."""
