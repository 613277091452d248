"""Test sets by other groups: a catalogue of where they are hosted, and readers that convert their layouts to the benchmark's."""
