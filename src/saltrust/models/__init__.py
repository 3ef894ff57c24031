"""Networks (floor 2): classifiers and localizers that are trained here, their randomization, and those from elsewhere.

The package may import `core` and no other library. It speaks of images as a `Split` and knows neither data sets nor
saliency methods. Every training is determined by its plan, the data and the code, so that it can stand behind a name in
the store. `recipes` makes the plans, `training` and `branching` follow them; `external` loads what was trained
elsewhere.
"""
