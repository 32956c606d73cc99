"""Layouts: under which names, and with which gates in which order, a framework keeps weights."""
