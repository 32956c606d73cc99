"""The result: exponents, errors, measures, status, text, plots and the run file."""
