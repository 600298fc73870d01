"""One module per noun; `main.COMMANDS` says which command is where."""
