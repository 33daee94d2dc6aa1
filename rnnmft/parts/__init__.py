"""Parts: which recurrent parts a whole model holds, and what each gets when the model runs."""
