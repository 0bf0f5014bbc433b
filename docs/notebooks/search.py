# %% [markdown]
# # Search
#
# Which residual network with at most 3,000 parameters is the best for the digits? The search starts from `ResNet8`, narrowed until it
# fits, and changes its architecture and its recipe. With eight short trials it takes a minute or two on 2 cores; for a result to rely
# on, give it dozens of trials.

# %%
from keras_residual import data, training, tuning

digits = data.load("digits")
space = tuning.HyperResNet((8, 8, 1), 10, base="ResNet8", max_parameters=3_000)
result = tuning.search(space, digits, "runs/search", max_trials=8, epochs=8)
print(result)

# %% [markdown]
# The accuracies above are on a fifth of the training images. The best network is now trained from scratch on all of them, with the
# recipe that was found with it, and evaluated on the test images, which the search never uses.

# %%
model, recipe = result.network(), result.recipe()
print(f"{model.count_params():,} parameters, {recipe.optimizer}, batches of {recipe.batch_size}")
history = training.fit(model, digits, recipe, "runs/best", epochs=20, verbose=0)
print(f"{history['val_accuracy'][-1]:.1%} of the test images")
