"""Tables, figures and one page: they read a finished run and never compute scores."""
