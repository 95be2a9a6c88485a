"""Comparisons: a recipe of methods, data and seeds becomes runs, stored results and tables."""
