"""Pictures of the embedding space: the map that the app draws, and how true to the space it is."""
