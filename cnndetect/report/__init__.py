"""The report: one self-contained HTML page with figures and tables, made from stored scores."""
