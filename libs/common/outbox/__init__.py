"""What leaves a service: rows of the transaction of the change, one relay that sends them, one feed that reads them."""
