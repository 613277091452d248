"""Data for cnndetect: the embedded suite, the results stored for it, and the generators that made it. No code."""
