"""From a weights file to a network."""
