"""The device that the backend computes on."""

import keras


def on_accelerator() -> bool:
    """Returns whether the backend computes on a device other than the CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.accelerator.is_available()
