"""How each kind of file is read: one module a kind; `shed.data.files` chooses among them."""
