"""Networks to explain: bundled ones, and a user's own."""
