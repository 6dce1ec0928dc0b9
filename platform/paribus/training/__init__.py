"""One run -> one record, with Lightning, inside a worker."""
