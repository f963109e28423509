"""One run from question to answer: graph, executor, consensus, service, API and command line."""
