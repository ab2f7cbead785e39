"""symbio: joint depth and semantics from one image, as a distributed experiment platform."""

__version__ = "0.1.0"
