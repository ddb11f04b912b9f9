"""MemFace: sound to expression with an implicit memory, expression to pictures with an explicit one."""
