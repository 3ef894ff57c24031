"""Statistics: intervals by resampling, mixed models, comparisons of all pairs."""
