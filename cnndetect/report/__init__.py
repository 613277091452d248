"""The report: stored scores in, one self-contained page with its figures and tables out."""
