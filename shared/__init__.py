"""What two services must agree on to read each other's history and to be run as one system."""
