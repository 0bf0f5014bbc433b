# %% [markdown]
# # Fine-tune and ship
#
# A network with the CIFAR-10 weights included in the package learns other classes and becomes a file for a phone. The pictures are
# drawn here, so that nothing is downloaded; use your own folder in their place. This takes half a minute on 2 cores.

# %%
import keras
import numpy as np
from matplotlib.figure import Figure

import keras_residual
from keras_residual import export, weights

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def pictures(count):
    """Returns stripes across or down, in any colour, with noise, and their labels."""
    labels = rng.integers(2, size=count)
    waves = np.sin(np.arange(32) * rng.uniform(0.4, 1.2, (count, 1)))[:, :, None, None]
    across = np.broadcast_to(waves, (count, 32, 32, 3))
    x = np.where(labels[:, None, None, None] == 1, across, across.swapaxes(1, 2))
    x = 0.5 + 0.4 * x * rng.uniform(0.3, 1, (count, 1, 1, 3))
    return (x + rng.normal(0, 0.05, x.shape)).clip(0, 1).astype("float32"), labels


x_train, y_train = pictures(256)
x_test, y_test = pictures(64)

# %% [markdown]
# The layers below the classifier keep the weights from CIFAR-10 and take pixels from 0 to 255, which they scale themselves. The
# classifier is new, and the layers up to `stage2` are frozen.

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
print(f"{accuracy:.1%} of {len(x_test)} other pictures are classified correctly")

# %% [markdown]
# The export runs the file in LiteRT and compares it with the model. If the outputs differ too much, no file is written.

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

# %% [markdown]
# The file takes pictures as a phone has them, `uint8` with pixels from 0 to 255. Its predictions for five of them:

# %%
file = export.load(report.rows[0].path)
shown = np.round(255 * x_test[:5]).astype("uint8")
figure = Figure(figsize=(8, 2), layout="constrained")
for axes, picture, scores in zip(figure.subplots(1, 5), shown, file.predict(shown), strict=True):
    axes.imshow(picture)
    axes.set_title(f"{file.labels[scores.argmax()]} ({scores.max():.0%})")
    axes.set_axis_off()
figure
