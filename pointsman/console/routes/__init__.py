"""The console's HTTP interface, a module for each thing that a page is about."""
