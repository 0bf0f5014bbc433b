"""From a split of a dataset to batches: order, augmentation, mixing."""
