"""Evidence for or against a heat map: what it adds up to, where it points, whether the network follows it."""
