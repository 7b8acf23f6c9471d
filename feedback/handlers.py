"""Facts of other apps that leave a trace in the feedback tables."""
