"""Changes of the routing document: the text they write, the jobs they move, the safety rules they break. No I/O."""
