"""The life of the expression model: data, training, evaluation, export."""
