"""The pocket model that ships with the package."""
