"""The project: settings, urls, queue. Composition, no behaviour."""
