"""The ablation of training: cells of a grid, their runs, their findings and their page."""
