# %% [markdown]
# # First steps
#
# A network is built by name, trained on the handwritten digits included in the package, and asked about some of them. This takes
# half a minute on 2 cores.

# %%
import keras
from matplotlib.figure import Figure

import keras_residual
from keras_residual import data, training

keras.utils.set_random_seed(0)
digits = data.load("digits")
print(digits)

# %% [markdown]
# `ResNet8` was made for photographs of 32×32 pixels; here it gets one channel and 8×8 pixels. The model is a plain `keras.Model`.

# %%
model = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=10)
print(f"{model.count_params():,} parameters")

# %% [markdown]
# A recipe such as `"quick"` sets optimizer, schedule, augmentation and number of epochs. If the training is interrupted, the same
# call resumes it.

# %%
history = training.fit(model, digits, "quick", "runs/first_steps", epochs=5, verbose=0)
print([f"{accuracy:.1%}" for accuracy in history["val_accuracy"]])

# %% [markdown]
# The predictions for five held-out digits:

# %%
images = digits.test.x[:5] / digits.test.scale
figure = Figure(figsize=(8, 2), layout="constrained")
for axes, image, scores in zip(
    figure.subplots(1, 5), images, model.predict(images, verbose=0), strict=True
):
    axes.imshow(image, cmap="gray_r")
    axes.set_title(f"{scores.argmax()} ({scores.max():.0%})")
    axes.set_axis_off()
figure
