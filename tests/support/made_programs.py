"""Programs of one variable, whose Jacobians are known entry by entry."""

from lyapy.networks.program import Assignment, Coefficient, Columns, Program, Term


def of_one_term(D, matrix, left, stages=()):
    """Return dh' = left matrix dh."""
    state = Columns(0, D)
    term = Term(state, False, matrix, left, None)
    return Program((Assignment(state, (term,)),), D, D, ({},), stages)


def map_of(D):
    """Return the program of a map whose Jacobian is the coefficients."""
    return of_one_term(D, Coefficient(0, D * D), None)


def scaling(D, first=0):
    """Return the program of units that scale their own direction by a coefficient."""
    slopes = Coefficient(first, D)
    return of_one_term(D, None, slopes)._replace(coefficients=({"a": slopes},))


def linear(matrix, stages=()):
    """Return the program of a constant Jacobian."""
    return of_one_term(len(matrix), matrix, None, stages)
