"""The Function dock: `dock` and the sections that it is made of."""
