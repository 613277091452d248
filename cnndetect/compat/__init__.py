"""The commands of the paper's original release, for scripts that call them: same options, same figures."""
