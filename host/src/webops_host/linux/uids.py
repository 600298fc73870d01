"""Numbers of users that run what is not ours, kept for us by `setup.sh`."""

UIDS = (20000, 29999)
"""The first and the last: git fetches, builds, the canary of the self-test, and deployments."""
FETCH_UID, BUILD_UID, CANARY_UID, FIRST_UID = 20000, 20001, 20002, 20010
