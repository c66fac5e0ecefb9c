"""What we know exactly: a beating heart whose every number has a closed form.

`volume_curve` says how much blood there is, `heart` gives it walls, `classes`
draws patients from the literature's ranges, `rasterise` turns a heart into
labels, `images` into a cine as a scanner would show it, and `cohort` writes
many of them with their truth.
"""
