"""The routing rules, pure: no I/O, no clock, no thread; time comes in as a number."""
