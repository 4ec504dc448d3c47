"""The benchmark suite behind ``make bench``: several stacks, the same loads, one table of ratios."""
