"""Charts for the gallery: lines and bars, drawn by Matplotlib without a display."""

COLOURS = ("#b0b7c3", "#e07b39", "#2f6f9f", "#6aa84f")


def _figure(size):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('The picture needs: pip install "keras-residual[plot]"') from error
    return Figure(figsize=size, layout="constrained")


def chart(path, draw, size=(8, 3.2)):
    """Writes a PNG file with one chart.

    Args:
        path: The file.
        draw: Gets Matplotlib's axes and draws into them.
        size: Width and height in inches, of 110 pixels each.
    """
    figure = _figure(size)
    axes = figure.subplots()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def lines(path, curves, xlabel, ylabel, x=None, marker="o"):
    """Draws a line for each curve, with its name at the side.

    Args:
        path: The file.
        curves: Mapping from names to values.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        x: Positions of the values. Defaults to 1, 2, ...
        marker: Matplotlib's marker of a value.
    """
    from matplotlib.ticker import MaxNLocator

    def draw(axes):
        for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
            places = x or range(1, len(values) + 1)
            axes.plot(places, values, marker=marker, color=colour, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if x:
            axes.set_xticks(x)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(curves) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

    chart(path, draw)


def bars(path, groups, ylabel, low=0.0, high=100.0):
    """Draws a group of bars for each name, in percent, with the values above the bars.

    Args:
        path: The file.
        groups: Mapping from names to mappings from kinds to values; `None` for no bar.
        ylabel: Label of the vertical axis.
        low: Lower end of the vertical axis.
        high: Upper end of the vertical axis.
    """
    kinds = list(dict.fromkeys(kind for group in groups.values() for kind in group))
    width = 0.8 / len(kinds)
    crowded = len(groups) > 4

    def draw(axes):
        for index, (colour, kind) in enumerate(zip(COLOURS, kinds, strict=False)):
            drawn = [
                (place + (index + 0.5) * width - 0.4, group[kind])
                for place, group in enumerate(groups.values())
                if group.get(kind) is not None
            ]
            places, values = zip(*drawn, strict=True)
            found = axes.bar(places, values, 0.92 * width, color=colour, label=kind)
            axes.bar_label(found, fmt="%.0f" if crowded else "%.1f", fontsize=8 if crowded else 9)
        turned = {"rotation": 20, "ha": "right", "fontsize": 9} if crowded else {}
        axes.set_xticks(range(len(groups)), groups, **turned)
        axes.set(ylabel=ylabel, ylim=(low, high))
        if len(kinds) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=len(kinds), frameon=False)

    chart(path, draw)


def grid(path, titles, draw, columns, side=1.8):
    """Draws several small pictures, each with a title.

    Args:
        path: The file.
        titles: Title of each picture.
        draw: Gets Matplotlib's axes and the number of the picture, and draws into them.
        columns: Number of pictures in a row.
        side: Height of a picture in inches.
    """
    figure = _figure((9, side * -(-len(titles) // columns)))
    places = figure.subplots(-(-len(titles) // columns), columns, squeeze=False).flat
    for number, (axes, title) in enumerate(zip(places, titles, strict=False)):
        draw(axes, number)
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=100)
