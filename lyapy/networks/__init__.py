"""Networks: cells joined to one map and its tangent program."""
