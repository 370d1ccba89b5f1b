"""Changes of the routing document: what they write, what they move, and what speaks against them. No I/O."""
