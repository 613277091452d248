"""Figures: functions from numbers to matplotlib Figures. The only package that imports matplotlib; it never touches pyplot."""
