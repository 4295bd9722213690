"""Judging in processes of their own, with limits: what a hostile file does to one of them, it does to nobody else."""
