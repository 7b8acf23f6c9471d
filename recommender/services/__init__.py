"""Everything of the recommender that writes."""
