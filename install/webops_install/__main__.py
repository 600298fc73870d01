"""`python3 -m webops_install`: see `commands`."""

from webops_install.commands import main

main()
