"""What reacts to the user: the only callers of infosam's front door."""
