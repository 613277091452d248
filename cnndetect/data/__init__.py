"""Where images come from: folders, catalogues, photographs."""
