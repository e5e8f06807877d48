"""Objects and jobs in an S3 store: client, job manager, keys, embedded server, cleanup."""
