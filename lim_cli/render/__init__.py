"""Volume rendering of any field; knows no model."""
