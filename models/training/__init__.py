"""Meta-training of the feature extractors: objectives, made anomalies, Langevin sampling."""
