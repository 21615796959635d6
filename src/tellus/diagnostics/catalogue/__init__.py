"""Facts of diagnostics as data, one file each, read and checked at the start."""
