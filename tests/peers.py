"""Networks of torchvision, timm and keras.applications with random weights and statistics.

Weights are drawn at random and the moving statistics set to those of a random batch, then pushed
off them channel by channel: activations keep a sane size at every depth, and no statistic has its
initial value.
"""

import functools

import keras
import numpy as np
import pytest

# Residual branches are weaker than shortcuts, as in trained networks: where both are equally
# strong, rounding errors grow from block to block until float32 disagrees with itself.
DAMPING = 0.3
# Standard deviation of the logits, about that of trained networks.
LOGITS = 2.5


@functools.cache
def torch():
    torch = pytest.importorskip("torch", reason="parity with PyTorch networks needs torch")
    torch.set_num_threads(2)
    return torch


@functools.cache
def torchvision():
    try:
        import torchvision
    except ModuleNotFoundError:
        pytest.skip("parity with torchvision needs torchvision")
    except RuntimeError:
        # Beside a torch build without its C++ operators, torchvision wants their names declared.
        library = torch().library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.operators = library
    return torchvision


@functools.cache
def timm():
    torchvision()
    return pytest.importorskip("timm", reason="parity with timm needs timm")


class TorchPeer:
    """A torch network with random weights that shows the outputs of its stages.

    Args:
        network: A `torch.nn.Module`.
        stages: Names of the modules whose outputs are C2, C3, …
        last_relu: Whether the last of them still lacks its activation.
        channels: Channels of the images.
        size: Size of the random images that the statistics are taken from.
        frames: Number of frames of a clip, for a network that takes clips.
        seed: Seed of all draws.
    """

    def __init__(self, network, stages, last_relu=False, channels=3, size=64, seed=0, frames=0):
        self.network, self.stages, self.last_relu = network, stages, last_relu
        self._outputs = {}
        for index, name in enumerate(stages, start=2):
            network.get_submodule(name).register_forward_hook(
                functools.partial(self._keep, f"C{index}")
            )
        self._randomize((channels, *([frames] if frames else []), size, size), seed)

    def _keep(self, name, module, inputs, output):
        self._outputs[name] = np.moveaxis(output.numpy(), 1, -1)

    def _randomize(self, shape, seed):
        nn, generator = torch().nn, torch().Generator().manual_seed(seed)

        def noise(*shape):
            return torch().randn(shape, generator=generator)

        modules = list(self.network.modules())
        norms = [m for m in modules if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
        kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
        linear = [module for module in modules if isinstance(module, kinds)]
        known = {id(module) for module in (*norms, *linear)}
        others = [m for m in modules if id(m) not in known and hasattr(m, "weight")]
        with torch().no_grad():
            for module in linear:
                fan_in = module.weight[0].numel()
                module.weight.copy_((2.0 / fan_in) ** 0.5 * noise(*module.weight.shape))
                if module.bias is not None:
                    module.bias.copy_(0.2 * noise(*module.bias.shape))
            for norm in norms:
                norm.weight.copy_(1.0 + 0.2 * noise(*norm.weight.shape))
                norm.bias.copy_(0.2 * noise(*norm.bias.shape))
                norm.momentum = 1.0
            for module in others:  # normalizations without statistics
                for weight in module.parameters(recurse=False):
                    weight.add_(0.2 * noise(*weight.shape))
            for module in self._last_of_each_block():
                module.weight.mul_(DAMPING)
            self.network.train()(noise(4, *shape))
            for norm in norms:
                std = norm.running_var.sqrt()
                norm.running_mean.add_(0.2 * std * noise(*std.shape))
                norm.running_var.mul_(torch().exp(0.2 * noise(*std.shape)))
            logits = self.network.eval()(noise(2, *shape))
            linear[-1].weight.mul_(LOGITS / logits.std())

    def _last_of_each_block(self):
        for block in self.network.modules():
            names = dict(block.named_children())
            if "c1x1_c" in names:  # of two paths
                yield names.get("c1x1_c1") or names["c1x1_c"].conv
            if "conv2" not in names and "convs" not in names:
                continue
            last = names.get("conv3", names.get("conv2"))
            if isinstance(last, torch().nn.Sequential):  # of a block for clips
                yield last[-1]
                continue
            preactivated = "norm1" in names or "convShortcut" in names
            norm = names.get("bn3", names.get("bn2", getattr(last, "bn", None)))
            if hasattr(last, "weight") or norm is not None:
                yield last if preactivated else norm

    @property
    def state_dict(self):
        return self.network.state_dict()

    def __call__(self, images):
        with torch().no_grad():
            inputs = np.ascontiguousarray(np.moveaxis(images, -1, 1))
            logits = self.network(torch().from_numpy(inputs))
        outputs = {name: np.maximum(x, 0) if self._relu(name) else x for name, x in self._items()}
        return {**outputs, "logits": logits.numpy()}

    def _items(self):
        return self._outputs.items()

    def _relu(self, name):
        return self.last_relu and name == f"C{len(self.stages) + 1}"


def from_torchvision(name, **arguments):
    """Returns a network of torchvision by name."""
    network = getattr(torchvision().models, name)(weights=None)
    if "densenet" in name:
        return TorchPeer(network, _dense_stages(), last_relu=True, **arguments)
    return TorchPeer(network, [f"layer{n}" for n in (1, 2, 3, 4)], **arguments)


def from_timm(name, size=64, **arguments):
    """Returns a network of timm by name; `arguments` are those of timm's function."""
    make = functools.partial(timm().create_model, pretrained=False)
    if name.endswith("_bit"):  # whose own function fixes the depths
        make = timm().models.resnetv2._create_resnetv2_bit
    network = make(name, **arguments)
    channels = arguments.get("in_chans", 3)
    stages = timm_stages(name)
    if name.startswith("dpn"):
        stages = [info["module"] for info in network.feature_info[1:4]] + ["features.conv5_bn_ac"]
    return TorchPeer(network, stages, channels=channels, size=size)


def timm_stages(name):
    """Returns the names of the modules that put out C2, C3, …"""
    if "densenet" in name:
        return _dense_stages()
    if "resnetv2" in name:
        return [*(f"stages.{n}" for n in (0, 1, 2)), "norm"]
    prefix = "s" if name.startswith("regnet") else "layer"
    return [f"{prefix}{n}" for n in (1, 2, 3, 4)]


def _dense_stages():
    return [*(f"features.denseblock{n}" for n in (1, 2, 3)), "features.norm5"]


def torchvision_resnet(block, depths, **arguments):
    """Returns a network of torchvision's code at any depth."""
    models = torchvision().models
    block = {"basic": models.resnet.BasicBlock, "bottleneck": models.resnet.Bottleneck}[block]
    network = models.ResNet(block, list(depths), **arguments)
    return TorchPeer(network, [f"layer{n}" for n in (1, 2, 3, 4)])


def torchvision_video(kinds, stem, depths, **arguments):
    """Returns a network for clips of torchvision's code at any depth.

    Args:
        kinds: What builds the convolutions of each stage: `"Conv3DSimple"`, `"Conv2Plus1D"` or
            `"Conv3DNoTemporal"`.
        stem: `"BasicStem"` or `"R2Plus1dStem"`.
        depths: Number of blocks in each stage.
    """
    video = torchvision().models.video.resnet
    network = video.VideoResNet(
        video.BasicBlock,
        [getattr(video, kind) for kind in kinds],
        list(depths),
        getattr(video, stem),
        **arguments,
    )
    return TorchPeer(network, [f"layer{n}" for n in (1, 2, 3, 4)], size=24, frames=6)


def torchvision_densenet(depths, **arguments):
    """Returns a network of torchvision's code at any depth."""
    network = torchvision().models.DenseNet(block_config=depths, **arguments)
    return TorchPeer(network, _dense_stages(), last_relu=True)


def timm_resnet(block, depths, **arguments):
    """Returns a network of timm's code at any depth."""
    resnet = timm().models.resnet
    block = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}[block]
    network = resnet.ResNet(block, depths, **arguments)
    stages = [f"layer{n}" for n in (1, 2, 3, 4)]
    return TorchPeer(network, stages, channels=arguments.get("in_chans", 3))


def timm_resnet_v2(depths, **arguments):
    """Returns a network of timm's code at any depth."""
    layers, resnetv2 = timm().layers, timm().models.resnetv2
    network = resnetv2.ResNetV2(
        depths, conv_layer=layers.create_conv2d, norm_layer=layers.BatchNormAct2d, **arguments
    )
    return TorchPeer(network, [*(f"stages.{n}" for n in (0, 1, 2)), "norm"])


class KerasPeer:
    """A network of keras.applications with random weights that shows the outputs of its stages."""

    def __init__(self, name, size=64, seed=0, **arguments):
        keras.utils.clear_session(free_memory=False)
        build = getattr(keras.applications, name)
        # The only way to other sizes with a classifier is an input tensor.
        image = keras.Input((None, None, 3))
        self.model = build(
            weights=None, input_tensor=image, classifier_activation=None, **arguments
        )
        self._last_conv = "_3_conv" if name.endswith("V2") else "none"
        self._randomize(np.random.default_rng(seed), size)
        outputs = {f"C{n}": self.model.get_layer(self._stage(name, n)).output for n in (2, 3, 4, 5)}
        self._all = keras.Model(self.model.inputs[0], {**outputs, "logits": self.model.output})

    def _stage(self, name, number):
        if name.startswith("DenseNet"):
            kind, last = "Concatenate", "relu"
        elif name.endswith("V2"):
            kind, last = "Add", "post_relu"
        else:
            kind, last = "Activation", None
        if number == 5 and last is not None:
            return last
        layers = (layer for layer in self.model.layers if type(layer).__name__ == kind)
        return [layer.name for layer in layers if layer.name.startswith(f"conv{number}_")][-1]

    def _randomize(self, generator, size):
        noise = generator.standard_normal
        norms = []
        for layer in self.model.layers:
            damping = DAMPING if layer.name.endswith(("_3_bn", self._last_conv)) else 1.0
            if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
                kernel, *bias = layer.get_weights()
                std = damping * (2.0 / np.prod(kernel.shape[:-1])) ** 0.5
                draws = [std * noise(kernel.shape), *(0.2 * noise(b.shape) for b in bias)]
                layer.set_weights(draws)
            if isinstance(layer, keras.layers.BatchNormalization):
                gamma, beta, mean, variance = layer.get_weights()
                gamma = damping * (1 + 0.2 * noise(gamma.shape))
                layer.set_weights([gamma, 0.2 * noise(beta.shape), mean, variance])
                layer.momentum = 0.0
                norms.append(layer)
        images = noise((4, size, size, 3)).astype("float32")
        self.model([images], training=True)
        for norm in norms:
            gamma, beta, mean, variance = norm.get_weights()
            mean = mean + 0.2 * np.sqrt(variance) * noise(mean.shape)
            variance = variance * np.exp(0.2 * noise(mean.shape))
            norm.set_weights([gamma, beta, mean, variance])
        logits = keras.ops.convert_to_numpy(self.model([images], training=False))
        kernel, bias = self.model.layers[-1].get_weights()
        self.model.layers[-1].set_weights([kernel * LOGITS / logits.std(), bias])

    def save(self, path):
        self.model.save_weights(path)

    def __call__(self, images):
        outputs = self._all(images, training=False)
        return {name: keras.ops.convert_to_numpy(x) for name, x in outputs.items()}


def outputs_of(model, images):
    """Returns logits and features of every stage of a network of this package."""
    layers = [layer for layer in model.layers if layer.name.startswith(("stage", "dense", "dual"))]
    outputs = {f"C{n}": layer.output for n, layer in enumerate(layers, start=2)}
    if "final_norm" in {layer.name for layer in model.layers}:
        outputs[f"C{len(layers) + 1}"] = model.get_layer("final_norm").output
    everything = keras.Model(model.input, {**outputs, "logits": model.output})
    results = everything(images, training=False)
    return {name: keras.ops.convert_to_numpy(x) for name, x in results.items()}


def images(size, channels=3):
    """Returns two normalized random images."""
    return np.random.default_rng(7).standard_normal((2, *size, channels)).astype("float32")


def differences(model, peer, size, channels=3, dtype="float32"):
    """Returns the largest logit, the largest absolute difference, and the relative one by stage."""
    inputs = images(size, channels).astype(dtype)
    ours, theirs = outputs_of(model, inputs), peer(inputs)
    assert ours.keys() == theirs.keys()
    relative = {
        name: float(np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max())
        for name in ours
    }
    logits = theirs["logits"]
    return float(np.abs(logits).max()), float(np.abs(ours["logits"] - logits).max()), relative
