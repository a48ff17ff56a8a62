"""The record of all runs of a state folder: one SQLite database, written as the run goes on."""
