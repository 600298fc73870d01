"""webops: the command line of WebOps. It talks to a panel's API over HTTP and to nothing else."""

__version__ = "0.1.0"
