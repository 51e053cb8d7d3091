"""Which selection wins: contenders are selected, tuned on and evaluated, and compared."""
