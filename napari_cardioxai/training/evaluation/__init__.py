"""How good a classifier is, how sure of that one can be, and what it should be held against.

Numpy arrays go in, frozen dataclasses come out; nothing here knows a network.
"""
