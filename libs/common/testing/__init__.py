"""What tests of every room share: waiting, fakes, crash points."""
