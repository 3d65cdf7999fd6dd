"""The local stack: Kafka, PostgreSQL, an S3 store, traces and the four services as processes of one machine."""
