"""saltrust: can you trust a saliency map?"""

__version__ = "0.1.0"
