"""What the papers claim in numbers and directions, and what comes of it on data like theirs (`book/claims.yaml`)."""
