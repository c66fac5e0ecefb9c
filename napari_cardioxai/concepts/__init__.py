"""What a model knows in a reader's words: directions, their significance, and what they do to the decoded heart."""
