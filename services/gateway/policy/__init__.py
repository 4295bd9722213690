"""What may leave by KEP, and in what form: rules as dated data, and their application to a letter."""
