"""The service measured as a whole: a real API over real Postgres and Valkey, asked over loopback, MLflow beside it."""
