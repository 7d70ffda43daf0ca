"""The report: one HTML page of sections and figures. Imports tables and figures."""
