"""A die that answers by HTTP."""
