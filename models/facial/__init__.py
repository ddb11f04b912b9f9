"""FACIAL: lips, head and eyes generated together, and rendered to video."""
