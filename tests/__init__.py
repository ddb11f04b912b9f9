"""Tests mirror the four packages; `e2e` runs the product as a user does."""
