"""A cohort as a model sees it, in a plane: who lies near whom, and what a group has in common."""
