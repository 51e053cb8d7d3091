"""Games and ratings whose models are held by workers: what a worker loads, and what stands for it where work is given out."""
