"""Docks, one a folder; what several of them share lies beside."""
