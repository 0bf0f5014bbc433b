# %% [markdown]
# # First steps
#
# A network by name, trained on handwritten digits that come with the package, and asked about one of them.
# One minute on 2 cores.

# %%
import keras

import keras_residual
from keras_residual import data, training

keras.utils.set_random_seed(0)
digits = data.load("digits")
print(digits)

# %% [markdown]
# `ResNet8` was made for 32×32 photographs; here it gets one channel and 8×8 pixels. A model is a plain `keras.Model`.

# %%
model = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=10)
print(f"{model.count_params():,} parameters")

# %% [markdown]
# A recipe is data: optimizer, schedule, augmentation, epochs. The training can be interrupted at any moment and goes on with
# the same call.

# %%
history = training.fit(model, digits, "quick", "runs/first_steps", epochs=5)
print([f"{accuracy:.1%}" for accuracy in history["val_accuracy"]])

# %% [markdown]
# What the network says of the first held-out digit:

# %%
image = digits.test.x[:1] / digits.test.scale
probabilities = model.predict(image, verbose=0)[0]
print(
    f"It is a {digits.test.y[0]}; the network says {probabilities.argmax()} ({probabilities.max():.1%})"
)
