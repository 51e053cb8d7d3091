"""Selection: clusters, their scores, signals of single records, and the samplers that choose rows."""
