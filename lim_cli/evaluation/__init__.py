"""Methods behind one protocol, and the tables that compare them."""
