"""HTTP for people and platforms: metrics, health, a JSON API and a page."""
