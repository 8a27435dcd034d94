"""What tests need: contract suites, strategies, the scripted API server. Only tests import it."""
