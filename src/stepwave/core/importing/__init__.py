"""Files of other tools → the text of a workflow: Makefile, Taskfile.yml, justfile, package.json, GitHub Actions."""
