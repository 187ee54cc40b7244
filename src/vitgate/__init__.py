"""vitgate: may PyTorch be upgraded without breaking the Vision Transformer you deploy?"""

__version__ = "0.1.0"
