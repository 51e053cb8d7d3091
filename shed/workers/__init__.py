"""Work that is given out to other processes, here or on other machines: what is asked of them, and Ray, which runs them."""
