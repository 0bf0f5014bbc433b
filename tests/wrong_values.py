"""Values that blocks of residual networks refuse, as arguments of layers and of builders."""


def of_blocks(positive, name):
    """Returns wrong values of the options of blocks.

    Args:
        positive: Wrong values of positive integers.
        name: Wrong values of names.
    """
    return {
        "activation_order": name,
        "shortcut": name,
        "strided_conv": name,
        "attention": name,
        "spatial": name,
        "branches": positive,
        "cardinality": positive,
        "base_width": positive,
        "expansion": (0.0, -1, "4", None),
        "group_width": (0, 2.5, "8", True),
        "first_reduction": positive,
        "se_ratio": (-0.5, 1.5, "half", None),
        "se_divisor": positive,
        "execution": name,
    }
