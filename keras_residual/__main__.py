"""`python -m keras_residual` is `keras-residual`."""

from keras_residual.cli.main import main

if __name__ == "__main__":
    main()
