"""What int8 should give, computed from the model itself in plain float PyTorch, one scheme a class.

Nothing here uses a quantized kernel or `torch.ao`: what is judged by it is not made by it.
"""
