"""Small generators that keep the traces of eleven families, trained from photographs."""
