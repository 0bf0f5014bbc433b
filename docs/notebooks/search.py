# %% [markdown]
# # Search
#
# The best network for the digits with at most 3,000 parameters, among those around `ResNet8`. Two minutes on 2 cores with the
# few short trials of this notebook; a search worth its result takes longer.

# %%
from keras_residual import data, tuning

digits = data.load("digits")
space = tuning.HyperResNet((8, 8, 1), 10, base="ResNet8", max_parameters=3_000)
result = tuning.search(space, digits, "runs/search", max_trials=3, epochs=2)
print(result)

# %% [markdown]
# The best one, untrained, with the recipe that was found with it:

# %%
model = result.network()
print(f"{model.count_params():,} parameters")
print(result.recipe())
