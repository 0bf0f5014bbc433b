"""The stack of LSTM layers with residual sums, in PyTorch: one operation a layer."""


def torch_lstm_stack(units, num_layers):
    """Returns a module from `(batch, steps, units)` to the same; all layers but the first add."""
    import torch

    class Stack(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList(
                torch.nn.LSTM(units, units, batch_first=True) for _ in range(num_layers)
            )

        def forward(self, x):
            for number, layer in enumerate(self.layers):
                y = layer(x)[0]
                x = x + y if number else y
            return x

    return Stack()
