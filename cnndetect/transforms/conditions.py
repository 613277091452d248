"""The conditions under which weights and detectors are selected: images as they circulate, not only as they were generated.

Names of degrade.py, in a module of their own so that a command line can name them without loading torch.
"""

CONDITIONS = ("none", "jpeg_90", "jpeg_75", "blur_1", "resize_0.5", "resize_1.5")
