"""Statistics on tidy data frames (floor 2): intervals by resampling, mixed models, and comparisons of all pairs.

The package may import `core` and no other library. It sees frames and arrays with column names, and nothing of maps or
networks, so that it can be tested against R (`lme4`, `lmerTest`, `multcomp`) on any table. What statsmodels and SciPy
have is taken from there; `mixed_model` says what they lack.
"""
