"""What learners do: events, ratings, favourites and the watched share of lessons."""
