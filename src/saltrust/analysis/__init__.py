"""What is asked of a study (floor 5): the multiverse of analyses, the audit, the claims, mixed models, the report card.

The package may import `study` and what lies below, and not `chapters`, its sibling. Its functions take a study or its
frames and return frames or numbers. Whatever a sentence of the book says in numbers, and takes more than a few lines of
pandas, is computed here, where a test can reach it, and not in a notebook.
"""
