"""One data set, one profile, one protocol: images -> networks -> maps -> criteria.

Each link is a module with one object that knows those before it, and `study.Study` holds the chain together. Naming
computes nothing: links hand out names of artefacts (`...artefact(...)`), and the store computes what is missing when a
value is asked for. What a criterion compares stands in `criteria` alone: one entry there is one criterion more in
verdicts, the multiverse, the report card, mixed models, claims and figures.

May import: artefacts, the five libraries, core.
"""
