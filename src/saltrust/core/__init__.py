"""Floor 1, the ground: settings (data card, profile, protocol) and tools that every floor uses.

It imports nothing of saltrust. What stands here is either a word that several libraries share (`labelled_images.Split`,
which data sets and models both speak) or no matter of science at all: errors, registries, paths, progress, tables.
Errors, registries, paths and progress cannot change a result, and are left out of an artefact's name (see
`artefacts.fingerprint`); all else counts.
"""
