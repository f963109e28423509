"""What the service bears: many followers, many submissions, and what a request costs beside its work."""
