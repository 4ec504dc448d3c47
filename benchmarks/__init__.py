"""The benchmark suite of ``make bench``: several stacks, the same loads, one table of ratios."""
