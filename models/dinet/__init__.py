"""DINet: a mouth is deformed out of five pictures of the person, and the rest of the hole is painted in."""
