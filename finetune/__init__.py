"""From a company's examples to an adapter that serves: data, training, evaluation, export."""
