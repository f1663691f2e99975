"""How long a study's trainings take on many workers, some of which are slow or taken away."""
