"""Text becomes a Document: a tree in which every node knows its place."""
