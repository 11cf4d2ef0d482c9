"""A machine whose power an operator turns on and off by hand."""
