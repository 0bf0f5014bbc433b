# %% [markdown]
# # Search
#
# The search below looks for the best network with at most 3,000 parameters for the digits, among the variants of `ResNet8`. With
# three short trials it takes half a minute on 2 cores; for a result to rely on, give it dozens of trials of ten or more epochs.

# %%
from keras_residual import data, tuning

digits = data.load("digits")
space = tuning.HyperResNet((8, 8, 1), 10, base="ResNet8", max_parameters=3_000)
result = tuning.search(space, digits, "runs/search", max_trials=3, epochs=2)
print(result)

# %% [markdown]
# The best network, untrained, and the recipe that was found with it:

# %%
model = result.network()
print(f"{model.count_params():,} parameters")
print(result.recipe())
