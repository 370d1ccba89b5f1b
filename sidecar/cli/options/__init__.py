"""What commands take: types of values, flags that several share, contexts, completion."""
