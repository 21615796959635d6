"""The tests of tellus; a package so that shared builders have one name."""
