"""Where in the image a decision comes from: heat maps, and the evidence for or against each."""
