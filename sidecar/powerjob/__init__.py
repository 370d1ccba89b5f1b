"""PowerJob's OpenAPI: finds the work that an outage or a switch left behind, and has it run again."""
