"""Meta-training of the feature extractors: objectives, synthetic anomalies, Langevin sampling."""
