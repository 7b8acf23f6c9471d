"""The catalogue: creators, categories, courses, lessons, search and who may read what."""
