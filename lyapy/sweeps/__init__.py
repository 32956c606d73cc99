"""Spectra of many networks: across training, initialisations and hyperparameters."""
