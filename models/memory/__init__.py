"""Memories: explicit slots that are looked up, implicit ones that are learned."""
