"""Networks of others that judge films, built so that weights which a user has fit them. None are bundled."""
