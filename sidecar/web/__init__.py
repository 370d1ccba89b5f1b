"""The face for people and platforms: metrics, health, a JSON API and a page, over HTTP."""
