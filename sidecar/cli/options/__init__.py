"""The parameters of commands: types of values, flags that several share, contexts, completion."""
