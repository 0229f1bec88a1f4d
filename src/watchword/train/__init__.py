"""Training: recipes, the objective, the loop, checkpoints and exact resume."""
