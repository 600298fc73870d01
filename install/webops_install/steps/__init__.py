"""What is done, one concern a file. Each module's STEP compares the machine with what should be, and names changes."""
