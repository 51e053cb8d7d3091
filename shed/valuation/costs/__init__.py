"""What valuation will cost, before it is paid for."""
