"""`nearest`: the remembered mouth that is most like the wanted one, laid on as it is. What all must beat."""
