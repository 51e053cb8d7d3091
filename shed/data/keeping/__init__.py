"""Where records are while a pool is prepared."""
