"""Under which conditions weights and detectors are chosen: images as they are met, not only as they are made.

Names of degrade.py, in a module of their own so that a command line can name them without loading torch.
"""

CONDITIONS = ("none", "jpeg_90", "jpeg_75", "blur_1", "resize_0.5", "resize_1.5")
