"""Steps whose Jacobians are too graded for an ordinary QR."""
