"""Numbers in, matplotlib Figures out: the only package that imports matplotlib. Nothing here reads scores or touches pyplot."""
