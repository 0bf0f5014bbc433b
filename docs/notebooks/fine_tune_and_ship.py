# %% [markdown]
# # Fine-tune and ship
#
# Weights that come with the package, other classes, and a file for a phone. The pictures are made here, so that the notebook
# needs no download; put your own folder in their place. One minute on 2 cores.

# %%
import keras
import numpy as np

import keras_residual
from keras_residual import export, weights

rng = np.random.default_rng(0)


def pictures(count):
    """Stripes that run across or down, in any colour, with noise."""
    labels = rng.integers(2, size=count)
    waves = np.sin(np.arange(32) * rng.uniform(0.4, 1.2, (count, 1)))[:, :, None, None]
    across = np.broadcast_to(waves, (count, 32, 32, 3))
    x = np.where(labels[:, None, None, None] == 1, across, across.swapaxes(1, 2))
    x = 0.5 + 0.4 * x * rng.uniform(0.3, 1, (count, 1, 1, 3))
    return (x + rng.normal(0, 0.05, x.shape)).clip(0, 1).astype("float32"), labels


x_train, y_train = pictures(256)
x_test, y_test = pictures(64)

# %% [markdown]
# The body keeps the weights that were trained on CIFAR-10, and scales pixels from 0 to 255 as they expect; the classifier is new.

# %%
body = keras_residual.ResNet8(
    include_top=False,
    pooling="avg",
    weights="cifar10",
    include_preprocessing=True,
    input_shape=(32, 32, 3),
)
weights.freeze(body, until="stage2")
model = keras.Model(body.input, keras.layers.Dense(2, "softmax")(body.output), name="stripes")
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(255 * x_train, y_train, epochs=5, verbose=0)
accuracy = model.evaluate(255 * x_test, y_test, verbose=0)[1]
print(f"{accuracy:.1%}")

# %% [markdown]
# The file is compared with the model in its own runtime before it appears under its name.

# %%
report = export.export(
    model,
    "runs/shipped",
    "litert",
    quantization="int8",
    representative_data=255 * x_train[:100],
    labels=["down", "across"],
)
print(report)
