"""From scores to verdicts: pure functions of arrays, with frozen results."""
