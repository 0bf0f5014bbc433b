# %% [markdown]
# # Why residual
#
# How large is the gradient of each layer's kernel, in an untrained network of 54 layers with and without shortcuts? This takes half a
# minute on 2 cores.

# %%
import keras

import keras_residual
from keras_residual import analysis, data

digits = data.load("digits")
x, y = digits.train.x[:64] / digits.train.scale, digits.train.y[:64]


def flow(shortcut):
    """Returns the norm of the gradient by each kernel, from the first layer to the last."""
    keras.utils.set_random_seed(0)
    model = keras_residual.ResNet(
        "basic",
        (27,),
        (16,),
        stem="conv3",
        shortcut=shortcut,
        input_shape=(8, 8, 1),
        classes=10,
    )
    return analysis.gradient_flow(model, x, y)


# %% [markdown]
# Without shortcuts the gradient grows from layer to layer on its way back, so that no learning rate fits all of them. With
# shortcuts it grows far less, and most of that in the first layer.

# %%
flows = {"plain": flow("none"), "residual": flow("projection")}
for name, rows in flows.items():
    norms = [row.norm for row in rows]
    print(f"{name:<9} {min(norms):.1e} to {max(norms):.1e}, ratio {max(norms) / min(norms):,.0f}")

# %%
analysis.plot_gradient_flow(flows, "54 layers")
