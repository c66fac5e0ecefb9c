"""Explainable cardiac MRI: from a scan to labels, numbers, a decision and its reasons.

For research use only; not a medical device.
"""

__version__ = "0.1.0"
