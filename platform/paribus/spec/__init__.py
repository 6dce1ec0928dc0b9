"""What a YAML file can say, and how its text becomes an experiment."""
