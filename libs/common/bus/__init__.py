"""The one way to subscribe, the one policy for what fails, and dead letters as rows."""
