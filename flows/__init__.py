"""What runs, and when: one module a flow, plus the command line. Prefect lives here."""
