"""Test sets of others: a catalogue of where they are, and readers that bring their layouts into the one of the bench."""
